import { BatchError, type Entry, ForbiddenError, type Owner, RefusedError } from '../registry.ts';
import {
  type Condition,
  type EtcdClient,
  EtcdRefusal,
  type KeyValue,
  NOT_FOUND,
  type Operation,
  PERMISSION_DENIED,
} from './client.ts';
import { claimedByOther, claimedKey, claimKey, isAnothersId, isOwnClaim, type Layout } from './layout.ts';

/** Operations, and conditions, that etcd takes in one transaction (its default of --max-txn-ops). */
const TXN_OPERATIONS = 128;
/** Looks at a claim that changes under our hands. */
const TRIES = 3;

/** A change of one entry, with its claim where it has one. */
export interface Change {
  readonly entry: Entry;
  /** Undefined: to be deleted. */
  readonly value: string | undefined;
  /** What the claim shall say; undefined where the key needs none. */
  readonly claim: string | undefined;
  /** The claim that is there now, of somebody else whose entry is gone. */
  readonly abandoned?: string;
}

interface Transaction {
  readonly conditions: Condition[];
  readonly operations: Operation[];
  /** Keys to read where a condition does not hold. */
  readonly look: string[];
}

/** Writes entries and their claims in few transactions, and never over an entry that is somebody else's. */
export class EtcdWriter {
  readonly #client: EtcdClient;
  readonly #layout: Layout;
  readonly #owner: Owner;
  readonly #onClaimsDenied: () => void;
  /** Our own claims by claimed key, as far as we know. Where that is out of date, a transaction fails, and is mended. */
  #claims = new Map<string, string>();
  /** Leases (0 for none) by the key that is bound to them, for every key that this process wrote. */
  readonly #bound = new Map<string, string>();
  /** The user may not use the claims' folder: then we know what this process wrote, but not what a former one did. */
  #withoutClaims = false;

  constructor(client: EtcdClient, layout: Layout, owner: Owner, onClaimsDenied: () => void) {
    this.#client = client;
    this.#layout = layout;
    this.#owner = owner;
    this.#onClaimsDenied = onClaimsDenied;
  }

  /** The lease on which this process wrote the key. */
  leaseOf(key: string): string | undefined {
    return this.#bound.get(key);
  }

  /** Keys that are ours though there is no claim. */
  get knownWithoutClaim(): ReadonlySet<string> {
    return new Set(this.#withoutClaims ? this.#bound.keys() : []);
  }

  /** Everybody's claims, by claimed key; none where we may not read them. */
  async listClaims(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    let pairs: readonly KeyValue[] = [];
    try {
      pairs = await this.#client.list(`${this.#layout.claims}/`, signal);
      this.#withoutClaims = false;
    } catch (error) {
      if (!(error instanceof EtcdRefusal && error.code === PERMISSION_DENIED)) throw error;
      this.#goWithoutClaims();
    }
    const claims = new Map(pairs.map(({ key, value }) => [claimedKey(this.#layout, key), value]));
    this.#claims = new Map([...claims].filter(([, claim]) => isOwnClaim(this.#owner, claim)));
    return claims;
  }

  /**
   * Idempotent. What is to be deleted and is somebody else's by now counts as done.
   *
   * @throws BatchError with the changes that failed; EtcdRefusal where the lease is gone
   */
  async write(changes: readonly Change[], lease: string | undefined, signal: AbortSignal): Promise<void> {
    const failures = new Map<string, Error>();
    // A key may be in a transaction once only.
    const distinct = [...new Map(changes.map((change) => [change.entry.key, change])).values()];
    for (const part of transactions(distinct)) await this.#writeTogether(part, lease, failures, signal);
    if (failures.size > 0) throw new BatchError(failures);
  }

  /** One transaction; where etcd refuses it, one for each change. */
  async #writeTogether(
    changes: readonly Change[],
    lease: string | undefined,
    failures: Map<string, Error>,
    signal: AbortSignal,
  ): Promise<void> {
    let left = changes;
    for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
      try {
        const found = await this.#transact(left, lease, signal);
        if (found === undefined) return;
        left = left.flatMap((change) => this.#review(change, found, failures));
      } catch (error) {
        if (!(error instanceof EtcdRefusal) || isLeaseGone(error)) throw error;
        const [only] = left;
        if (left.length === 1 && only !== undefined) {
          return this.#writeWithoutClaim(only, lease, error, failures, signal);
        }
        await Promise.all(left.map((change) => this.#writeTogether([change], lease, failures, signal)));
        return;
      }
    }
    for (const { entry } of left)
      failures.set(entry.key, new Error(`the claim of ${entry.key} in etcd changes again and again`));
  }

  /** After a refusal: it may be of the claim alone. */
  async #writeWithoutClaim(
    change: Change,
    lease: string | undefined,
    refusal: EtcdRefusal,
    failures: Map<string, Error>,
    signal: AbortSignal,
  ): Promise<void> {
    let final = refusal;
    if (refusal.code === PERMISSION_DENIED && change.claim !== undefined) {
      try {
        await this.#transact([{ ...change, claim: undefined }], lease, signal);
        this.#goWithoutClaims();
        return;
      } catch (error) {
        if (!(error instanceof EtcdRefusal) || isLeaseGone(error)) throw error;
        final = error;
      }
    }
    failures.set(change.entry.key, refused(final, change.entry.key));
  }

  #goWithoutClaims(): void {
    if (!this.#withoutClaims) this.#onClaimsDenied();
    this.#withoutClaims = true;
  }

  /** @returns undefined where it was done; else what we thought of the claims and entries is wrong: here they are */
  async #transact(
    changes: readonly Change[],
    lease: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, KeyValue> | undefined> {
    const transaction: Transaction = { conditions: [], operations: [], look: [] };
    for (const change of changes) {
      if (change.value === undefined) this.#addDelete(change, transaction);
      else this.#addPut(change, change.value, lease, transaction);
    }
    const { conditions, operations, look } = transaction;
    if (conditions.length + operations.length > 0) {
      const found = await this.#client.transact(conditions, operations, look, signal);
      if (found !== undefined) return found;
    }
    for (const { entry, value, claim } of changes) {
      if (value === undefined) this.#bound.delete(entry.key);
      else this.#bound.set(entry.key, lease ?? '0');
      if (value === undefined) this.#claims.delete(entry.key);
      else if (claim !== undefined) this.#claims.set(entry.key, claim);
    }
    return undefined;
  }

  #addPut({ entry, claim, abandoned }: Change, value: string, lease: string | undefined, to: Transaction): void {
    const { key } = entry;
    to.operations.push({ put: key, value, lease });
    if (claim === undefined) return;
    const before = abandoned ?? this.#claims.get(key);
    if (before === undefined && this.#mayBeAnothers(entry)) to.conditions.push({ key, value: undefined });
    to.look.push(key);
    if (this.#withoutClaims) return;
    const claimed = claimKey(this.#layout, key);
    to.operations.push({ put: claimed, value: claim, lease });
    to.conditions.push({ key: claimed, value: before });
    to.look.push(claimed);
  }

  /** Where a key needs a claim and there is none of ours, there is nothing of ours. */
  #addDelete({ entry: { key }, claim }: Change, to: Transaction): void {
    if (claim === undefined || (this.#withoutClaims && this.#bound.has(key))) to.operations.push({ delete: key });
    if (claim === undefined || this.#withoutClaims) return;
    const claimed = claimKey(this.#layout, key);
    const before = this.#claims.get(key);
    if (before !== undefined) to.operations.push({ delete: key }, { delete: claimed });
    to.conditions.push({ key: claimed, value: before });
    to.look.push(key, claimed);
  }

  /** Takes note of what was found; the change goes again unless the entry is somebody else's. */
  #review(change: Change, found: ReadonlyMap<string, KeyValue>, failures: Map<string, Error>): Change[] {
    const { entry, value, claim } = change;
    if (claim === undefined) return [change];
    const now = found.get(claimKey(this.#layout, entry.key))?.value;
    this.#claims.delete(entry.key);
    if (now !== undefined && isOwnClaim(this.#owner, now)) {
      this.#claims.set(entry.key, now);
      return [change];
    }
    const exists = found.has(entry.key);
    if (now === undefined && !(exists && this.#mayBeAnothers(entry))) return [change];
    if (now !== undefined && !exists && value !== undefined) return [{ ...change, abandoned: now }];
    this.#bound.delete(entry.key);
    if (value !== undefined) failures.set(entry.key, claimedByOther(entry, now));
    return [];
  }

  /** The ID is one that another host gives out, whose entry needs no claim. */
  #mayBeAnothers({ key, id }: Entry): boolean {
    return !this.#bound.has(key) && isAnothersId(this.#owner, id);
  }
}

export const isLeaseGone = (error: unknown) => error instanceof EtcdRefusal && error.code === NOT_FOUND;

/** Each with at most so many operations, an entry and its claim in the same one. */
function transactions(changes: readonly Change[]): Change[][] {
  const parts: Change[][] = [];
  let operations = TXN_OPERATIONS;
  for (const change of changes) {
    const needs = change.claim === undefined ? 1 : 2;
    if (operations + needs > TXN_OPERATIONS) {
      parts.push([]);
      operations = 0;
    }
    operations += needs;
    parts.at(-1)?.push(change);
  }
  return parts;
}

function refused({ code, message }: EtcdRefusal, key: string): RefusedError {
  if (code !== PERMISSION_DENIED) return new RefusedError(`etcd says «${message}».`);
  return new ForbiddenError(`etcd says «${message}»: grant the etcd user's role readwrite on ${key}.`);
}
