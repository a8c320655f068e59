import { batches } from '../../lib/batches.ts';
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
import {
  type AtKey,
  claimedKey,
  claimKey,
  conflict,
  holder,
  isOwn,
  type Layout,
  markOf,
  type Written,
} from './layout.ts';

/** Operations, and conditions, that etcd takes in one transaction (its default of --max-txn-ops). */
const TXN_OPERATIONS = 128;
/** A change is of the key alone where that shows whose it is, */
export const CHANGES_AT_ONCE = TXN_OPERATIONS;
/** and of the key and its claim where it does not, or where both were looked at. */
const DOUBLE_CHANGES_AT_ONCE = TXN_OPERATIONS / 2;
/** Looks at a key that changes under our hands. */
const TRIES = 5;
/** Values of one key that are remembered while calls get no answer. */
const ATTEMPTS = 4;

/** A change of one entry, with its claim where it has one. */
export interface Change {
  readonly entry: Entry;
  /** Undefined: to be deleted. */
  readonly value: string | undefined;
  /** What the claim shall say; undefined where the key needs none. */
  readonly claim: string | undefined;
  /** What is there, where that was looked at. */
  readonly seen?: AtKey;
}

/** Writes entries and their claims in few transactions, and never over an entry that is somebody else's. */
export class EtcdWriter {
  readonly #client: EtcdClient;
  readonly #layout: Layout;
  readonly #owner: Owner;
  readonly #onClaimsDenied: () => void;
  /** Our own claims by claimed key, as far as we know. Where that is out of date, a transaction fails, and is mended. */
  #claims = new Map<string, string>();
  /** What this process wrote or found to be ours, and on which lease it wrote it (0 for none): its own, though a claim be lost. */
  readonly #written = new Map<string, Written & { readonly lease?: string }>();
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
    return this.#written.get(key)?.lease;
  }

  get written(): ReadonlyMap<string, Written> {
    return this.#written;
  }

  know(found: Iterable<readonly [string, Written]>): void {
    for (const [key, known] of found) if (!this.#written.has(key)) this.#written.set(key, known);
  }

  /** Everybody's claims, by claimed key; undefined where we may not read them. */
  async listClaims(signal: AbortSignal): Promise<ReadonlyMap<string, string> | undefined> {
    let pairs: readonly KeyValue[];
    try {
      pairs = await this.#client.list(`${this.#layout.claims}/`, signal);
      this.#withoutClaims = false;
    } catch (error) {
      if (!(error instanceof EtcdRefusal && error.code === PERMISSION_DENIED)) throw error;
      this.#goWithoutClaims();
      return undefined;
    }
    const claims = new Map(pairs.map(({ key, value }) => [claimedKey(this.#layout, key), value]));
    this.#claims = new Map([...claims].filter(([, claim]) => markOf(claim)?.host === this.#owner.host));
    return claims;
  }

  /**
   * Idempotent: what is to be deleted and is gone counts as done.
   *
   * @throws BatchError with the changes that failed, ConflictErrors among them; EtcdRefusal where the lease is gone
   */
  async write(changes: readonly Change[], lease: string | undefined, signal: AbortSignal): Promise<void> {
    const failures = new Map<string, Error>();
    // A key may be in a transaction once only.
    const distinct = [...new Map(changes.map((change) => [change.entry.key, change])).values()];
    for (const part of batches(distinct, CHANGES_AT_ONCE)) await this.#writeTogether(part, lease, failures, signal);
    if (failures.size > 0) throw new BatchError(failures);
  }

  /**
   * One transaction; where etcd refuses it, one for each change.
   *
   * @param withoutClaims the user may not use the claims' folder
   */
  async #writeTogether(
    changes: readonly Change[],
    lease: string | undefined,
    failures: Map<string, Error>,
    signal: AbortSignal,
    withoutClaims = this.#withoutClaims,
  ): Promise<void> {
    let left = changes;
    for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
      if (left.length > DOUBLE_CHANGES_AT_ONCE && !left.every(isSingle)) {
        for (const part of batches(left, DOUBLE_CHANGES_AT_ONCE))
          await this.#writeTogether(part, lease, failures, signal, withoutClaims);
        return;
      }
      try {
        if (await this.#transact(left, lease, withoutClaims, signal)) return;
        const found = await this.#lookAt(left, withoutClaims, signal);
        left = left.flatMap((change) => this.#review(change, found, failures));
      } catch (error) {
        if (!(error instanceof EtcdRefusal) || isLeaseGone(error)) throw error;
        const [only] = left;
        if (left.length > 1 || only === undefined) {
          await Promise.all(left.map((change) => this.#writeTogether([change], lease, failures, signal)));
          return;
        }
        if (withoutClaims || error.code !== PERMISSION_DENIED) {
          failures.set(only.entry.key, refused(error, only.entry.key));
          return;
        }
        // It may be the claim alone that is refused.
        await this.#writeTogether([only], lease, failures, signal, true);
        if (!failures.has(only.entry.key)) this.#goWithoutClaims();
        return;
      }
    }
    for (const { entry } of left)
      failures.set(entry.key, new Error(`the key ${entry.key} in etcd, or its claim, changes again and again`));
  }

  #goWithoutClaims(): void {
    if (!this.#withoutClaims) this.#onClaimsDenied();
    this.#withoutClaims = true;
  }

  /** @returns whether it was done; else what we thought of the claims and entries is wrong */
  async #transact(
    changes: readonly Change[],
    lease: string | undefined,
    withoutClaims: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const conditions = changes.flatMap((change) => this.#conditions(change, withoutClaims));
    const operations = changes.flatMap((change) => this.#operations(change, lease, withoutClaims));
    for (const { entry, value } of changes) if (value !== undefined) this.#noteAttempt(entry, value);
    if (!(await this.#client.transact(conditions, operations, signal))) return false;
    for (const { entry, value, claim } of changes) {
      if (value === undefined) this.#written.delete(entry.key);
      else this.#written.set(entry.key, { entry, values: [value], lease: lease ?? '0' });
      if (value === undefined || claim === undefined) this.#claims.delete(entry.key);
      else this.#claims.set(entry.key, claim);
    }
    return true;
  }

  /** What is there at the keys and claims of the changes. */
  async #lookAt(
    changes: readonly Change[],
    withoutClaims: boolean,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, KeyValue>> {
    const keys = changes.flatMap(({ entry: { key } }) => (withoutClaims ? [key] : [key, claimKey(this.#layout, key)]));
    const found = new Map<string, KeyValue>();
    for (const part of batches(keys, TXN_OPERATIONS))
      for (const [key, pair] of await this.#client.read(part, signal)) found.set(key, pair);
    return found;
  }

  /** What gets no answer may have been done all the same. */
  #noteAttempt(entry: Entry, value: string): void {
    const before = this.#written.get(entry.key);
    if (before === undefined) return void this.#written.set(entry.key, { entry, values: [value] });
    const values = [...before.values.filter((other) => other !== value), value].slice(-ATTEMPTS);
    this.#written.set(entry.key, { ...before, entry, values });
  }

  /** Under which the change is ours to make. */
  #conditions({ entry: { key }, claim, seen }: Change, withoutClaims: boolean): Condition[] {
    const claimed = claimKey(this.#layout, key);
    if (withoutClaims) {
      if (claim === undefined) return [];
      return [{ key, value: seen === undefined ? this.#written.get(key)?.values.at(-1) : seen.value }];
    }
    if (seen !== undefined)
      return [
        { key, value: seen.value },
        { key: claimed, value: seen.claim },
      ];
    const ours = this.#claims.get(key);
    if (ours !== undefined || claim === undefined) return [{ key: claimed, value: ours }];
    return [
      { key, value: this.#written.get(key)?.values.at(-1) },
      { key: claimed, value: undefined },
    ];
  }

  #operations(
    { entry: { key }, value, claim, seen }: Change,
    lease: string | undefined,
    withoutClaims: boolean,
  ): Operation[] {
    const claimed = claimKey(this.#layout, key);
    const hasClaim = !withoutClaims && (claim !== undefined || seen?.claim !== undefined);
    if (value === undefined) return [{ delete: key }, ...(hasClaim ? [{ delete: claimed }] : [])];
    if (!hasClaim) return [{ put: key, value, lease }];
    return [
      { put: key, value, lease },
      claim === undefined ? { delete: claimed } : { put: claimed, value: claim, lease },
    ];
  }

  /** Takes note of what was found; the change goes again unless the entry is somebody else's, or gone as it should be. */
  #review(change: Change, found: ReadonlyMap<string, KeyValue>, failures: Map<string, Error>): Change[] {
    const { entry, value } = change;
    const claim = found.get(claimKey(this.#layout, entry.key))?.value;
    const seen: AtKey = { value: found.get(entry.key)?.value, claim };
    const known = [value, ...(this.#written.get(entry.key)?.values ?? [])];
    this.#claims.delete(entry.key);
    if (isOwn(this.#layout, this.#owner, entry, seen, known)) return [{ ...change, seen }];
    // A claim outlives its entry where its host died: it may be taken over.
    if (seen.value === undefined && value !== undefined) return [{ ...change, seen }];
    this.#written.delete(entry.key);
    if (seen.value !== undefined) failures.set(entry.key, conflict(entry.key, holder(entry, seen)));
    return [];
  }
}

/** Whether it is of the key alone. */
const isSingle = ({ claim, seen }: Change) => claim === undefined && seen === undefined;

export const isLeaseGone = (error: unknown) => error instanceof EtcdRefusal && error.code === NOT_FOUND;

function refused({ code, message }: EtcdRefusal, key: string): RefusedError {
  if (code !== PERMISSION_DENIED) return new RefusedError(`etcd says «${message}».`);
  return new ForbiddenError(`etcd says «${message}»: grant the etcd user's role readwrite on ${key}.`);
}
