import type { Logger } from '../ops/index.ts';
import type { Service } from '../services/index.ts';
import {
  type Condition,
  EtcdClient,
  EtcdRefusal,
  type KeyValue,
  NOT_FOUND,
  type Operation,
  PERMISSION_DENIED,
} from './etcd-client.ts';
import { EtcdEndpoints } from './etcd-endpoints.ts';
import {
  claimedByOther,
  claimedKey,
  claimKey,
  claimValue,
  isOwnClaim,
  KEPT_ALIVE,
  type Layout,
  ownEntries,
  plainLayout,
  type Stored,
  showsOwner,
} from './etcd-layout.ts';
import { EtcdLease } from './etcd-lease.ts';
import { type EtcdTarget, etcdTarget } from './etcd-uri.ts';
import type { RegistryContext } from './index.ts';
import { BatchError, type Entry, type Owner, RefusedError, type Registry } from './registry.ts';

/** Operations, and conditions, that etcd takes in one transaction (its default of --max-txn-ops). */
const TXN_OPERATIONS = 128;
/** Looks at a claim that changes under our hands. */
const TRIES = 3;

/** etcd v3, for `etcd://h1,h2,h3:2379/prefix` and `etcd+tls://`. */
export async function etcd(uri: string, context: RegistryContext): Promise<Registry> {
  const target = await etcdTarget(uri, context.env);
  if (target.query.size > 0) throw new Error(`The URI ${target.name} takes nothing after a question mark.`);
  return etcdV3(target, plainLayout(target.path), context);
}

export function etcdV3(target: EtcdTarget, layout: Layout, context: RegistryContext): Registry {
  return new Etcd(target.name, new EtcdClient(new EtcdEndpoints(target), target.credentials), layout, context);
}

/** A change of one entry, with its claim where it has one. */
interface Change {
  readonly entry: Entry;
  /** Undefined: to be deleted. */
  readonly value: string | undefined;
  /** What the claim shall say; undefined where the key needs none. */
  readonly claim: string | undefined;
  /** The claim that is there now, of somebody else whose entry is gone. */
  readonly abandoned?: string;
}

class Etcd implements Registry {
  readonly name: string;
  readonly batchSize = 100;
  readonly #client: EtcdClient;
  readonly #layout: Layout;
  readonly #owner: Owner;
  readonly #log: Logger;
  /** Absent without `--ttl`. */
  readonly #lease: EtcdLease | undefined;
  /** Our own claims by claimed key, as far as we know. Where it is out of date, a transaction fails, and they are read anew. */
  #claims = new Map<string, string>();
  /** Leases by the key that is bound to them, for every key that this process wrote. */
  readonly #bound = new Map<string, string>();
  /** The user may not use the claims' folder: then we know what is ours without it, but not what a former process wrote. */
  #withoutClaims = false;

  constructor(name: string, client: EtcdClient, layout: Layout, { owner, ttl, log }: RegistryContext) {
    this.name = name;
    this.#client = client;
    this.#layout = layout;
    this.#owner = owner;
    this.#log = log;
    this.#lease = ttl === undefined ? undefined : new EtcdLease(client, ttl);
  }

  async connect(signal: AbortSignal): Promise<void> {
    const { prefix } = this.#layout;
    await this.#client.probe(`${prefix}/`, signal).catch((error: unknown) => {
      if (!(error instanceof EtcdRefusal)) throw error;
      throw new Error(
        error.code === PERMISSION_DENIED
          ? `The etcd user may not read below ${prefix}/: grant its role readwrite there, with etcdctl role grant-permission --prefix=true.`
          : `etcd says «${error.message}».`,
      );
    });
  }

  entry(service: Service): Entry {
    const { id, name, address, port } = service;
    const bound = this.#lease === undefined ? '' : KEPT_ALIVE;
    const content = `${this.#layout.value(service)}${bound}`;
    return { key: this.#layout.key(service), content, id, name, address, port };
  }

  async register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    const changes = services.map((service) => {
      const entry = this.entry(service);
      return { entry, value: this.#layout.value(service), claim: this.#claimFor(entry) };
    });
    let lease = await this.#lease?.id(signal);
    const failures = await this.#apply(changes, lease, signal).catch(async (error: unknown) => {
      if (lease === undefined || !isLeaseGone(error)) throw error;
      this.#lease?.forget(lease);
      lease = await this.#lease?.id(signal);
      return this.#apply(changes, lease, signal);
    });
    if (failures.size > 0) throw new BatchError(failures);
  }

  async deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const changes = entries.map((entry) => ({ entry, value: undefined, claim: this.#claimFor(entry) }));
    const failures = await this.#apply(changes, undefined, signal);
    if (failures.size > 0) throw new BatchError(failures);
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const [pairs, claims] = await Promise.all([
      this.#client.list(`${this.#layout.prefix}/`, signal),
      this.#listClaims(signal),
    ]);
    const claimed = new Map(claims.map(({ key, value }) => [claimedKey(this.#layout, key), value]));
    this.#claims = new Map([...claimed].filter(([, claim]) => isOwnClaim(this.#owner, claim)));
    const stored = pairs.map((pair): Stored => ({ key: pair.key, value: pair.value, bound: this.#boundText(pair) }));
    const known = new Set(this.#withoutClaims ? this.#bound.keys() : []);
    return ownEntries(this.#layout, this.#owner, stored, claimed, known);
  }

  /** Keeps the lease alive; where it is gone, and its keys with it, they are written anew under another one. */
  async refresh(services: readonly Service[], signal: AbortSignal): Promise<void> {
    if (this.#lease === undefined || services.length === 0) return;
    await this.#lease.renew(signal);
    const lease = await this.#lease.id(signal);
    const unbound = services.filter((service) => this.#bound.get(this.#layout.key(service)) !== lease);
    const failures = new Map<string, Error>();
    for (let at = 0; at < unbound.length; at += this.batchSize) {
      await this.register(unbound.slice(at, at + this.batchSize), signal).catch((error: unknown) => {
        if (!(error instanceof BatchError)) throw error;
        for (const [key, failure] of error.failures) failures.set(key, failure);
      });
    }
    if (failures.size > 0) throw new BatchError(failures);
  }

  async lost(signal: AbortSignal): Promise<string> {
    const settled = new AbortController();
    const either = AbortSignal.any([signal, settled.signal]);
    try {
      return await Promise.race([this.#client.lost(either), ...(this.#lease ? [this.#lease.lost(either)] : [])]);
    } finally {
      settled.abort();
    }
  }

  async close(): Promise<void> {
    this.#lease?.close();
    this.#client.close();
  }

  /** How long the key will be: `entry` says the same of one that is as it should be. */
  #boundText({ lease }: KeyValue): string {
    if (lease === '0') return '';
    // The lease of the process before this one is not kept alive any more: what hangs on it has to be taken over.
    return lease === this.#lease?.present ? KEPT_ALIVE : ' (bound to another lease)';
  }

  #claimFor(entry: Entry): string | undefined {
    return showsOwner(this.#layout, this.#owner, entry.key) ? undefined : claimValue(this.#owner, entry);
  }

  async #listClaims(signal: AbortSignal): Promise<readonly KeyValue[]> {
    try {
      const claims = await this.#client.list(`${this.#layout.claims}/`, signal);
      this.#withoutClaims = false;
      return claims;
    } catch (error) {
      if (!(error instanceof EtcdRefusal && error.code === PERMISSION_DENIED)) throw error;
      this.#goWithoutClaims();
      return [];
    }
  }

  #goWithoutClaims(): void {
    if (this.#withoutClaims) return;
    this.#withoutClaims = true;
    this.#log.warn(
      { registry: this.name },
      `the etcd user may not use ${this.#layout.claims}/, where registrator notes which entries are its own: those whose ID does not begin with this host's name are not cleaned up after a restart until the user's role has readwrite there`,
    );
  }

  async #apply(
    changes: readonly Change[],
    lease: string | undefined,
    signal: AbortSignal,
  ): Promise<Map<string, Error>> {
    const failures = new Map<string, Error>();
    // A key may be in a transaction once only.
    const distinct = [...new Map(changes.map((change) => [change.entry.key, change])).values()];
    for (const part of transactions(distinct)) await this.#applyTogether(part, lease, failures, signal);
    return failures;
  }

  /** One transaction; where etcd refuses it, one for each change. */
  async #applyTogether(
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
        if (left.length === 1) return this.#applyRefused(left, lease, error, failures, signal);
        await Promise.all(left.map((change) => this.#applyTogether([change], lease, failures, signal)));
        return;
      }
    }
    for (const { entry } of left)
      failures.set(entry.key, new Error(`the claim of ${entry.key} in etcd changes again and again`));
  }

  /** The refusal may be of the claim alone. */
  async #applyRefused(
    changes: readonly Change[],
    lease: string | undefined,
    refusal: EtcdRefusal,
    failures: Map<string, Error>,
    signal: AbortSignal,
  ): Promise<void> {
    let final = refusal;
    if (refusal.code === PERMISSION_DENIED && changes.some(({ claim }) => claim !== undefined)) {
      try {
        await this.#transact(
          changes.map((change) => ({ ...change, claim: undefined })),
          lease,
          signal,
        );
        this.#goWithoutClaims();
        return;
      } catch (error) {
        if (!(error instanceof EtcdRefusal) || isLeaseGone(error)) throw error;
        final = error;
      }
    }
    for (const { entry } of changes) failures.set(entry.key, refused(final, entry.key));
  }

  /** @returns undefined where it was done; else the claims, and what they claim, are not as we knew them: here they are */
  async #transact(
    changes: readonly Change[],
    lease: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, KeyValue> | undefined> {
    const conditions: Condition[] = [];
    const operations: Operation[] = [];
    const look: string[] = [];
    for (const { entry, value, claim, abandoned } of changes) {
      operations.push(value === undefined ? { delete: entry.key } : { put: entry.key, value, lease });
      if (claim === undefined || this.#withoutClaims) continue;
      const key = claimKey(this.#layout, entry.key);
      operations.push(value === undefined ? { delete: key } : { put: key, value: claim, lease });
      conditions.push({ key, value: abandoned ?? this.#claims.get(entry.key) });
      look.push(key, entry.key);
    }
    const found = await this.#client.transact(conditions, operations, look, signal);
    if (found !== undefined) return found;
    for (const { entry, value, claim } of changes) {
      if (value === undefined) this.#bound.delete(entry.key);
      else this.#bound.set(entry.key, lease ?? '0');
      if (value === undefined) this.#claims.delete(entry.key);
      else if (claim !== undefined) this.#claims.set(entry.key, claim);
    }
    return undefined;
  }

  /** Takes note of the claim as found; the change goes again unless the entry is somebody else's. */
  #review(change: Change, found: ReadonlyMap<string, KeyValue>, failures: Map<string, Error>): Change[] {
    const { entry, value, claim } = change;
    if (claim === undefined) return [change];
    const now = found.get(claimKey(this.#layout, entry.key))?.value;
    this.#claims.delete(entry.key);
    if (now === undefined) return [change];
    if (isOwnClaim(this.#owner, now)) {
      this.#claims.set(entry.key, now);
      return [change];
    }
    if (!found.has(entry.key)) return [{ ...change, abandoned: now }];
    this.#bound.delete(entry.key);
    if (value !== undefined) failures.set(entry.key, claimedByOther(entry, now));
    return [];
  }
}

const isLeaseGone = (error: unknown) => error instanceof EtcdRefusal && error.code === NOT_FOUND;

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
  const hint = code === PERMISSION_DENIED ? `: grant the etcd user's role readwrite on ${key}` : '';
  return new RefusedError(`etcd says «${message}»${hint}.`);
}
