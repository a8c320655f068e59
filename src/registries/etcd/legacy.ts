import * as v from 'valibot';
import { checked } from '../../lib/checked.ts';
import { HttpStatusError } from '../../lib/http/index.ts';
import { RaceError, retryingAfterRaces } from '../../lib/retrying-after-races.ts';
import type { Service } from '../../services/index.ts';
import { each, Findings } from '../kit/index.ts';
import type { RegistryContext } from '../registry.ts';
import { type Entry, ForbiddenError, type Others, type Owner, RefusedError, type Registry } from '../registry.ts';
import { EtcdEndpoints } from './endpoints.ts';
import {
  type AtKey,
  claimedKey,
  claimKey,
  claimValue,
  conflict,
  findings,
  holder,
  isOwn,
  KEPT_ALIVE,
  knownBy,
  type Layout,
  plainLayout,
  type Stored,
  showsOwner,
  type Written,
} from './layout.ts';
import { type EtcdCredentials, type EtcdTarget, etcdTarget } from './uri.ts';

/** Error codes of the v2 API (etcd: etcdserver/api/v2error). */
const KEY_NOT_FOUND = 100;
const TEST_FAILED = 101;
const NODE_EXISTS = 105;

/** Requests under way at once for one call. */
const CONCURRENCY = 16;
/** Looks at a key that changes under our hands. */
const TRIES = 5;
/** Values of one key that are remembered while calls get no answer. */
const ATTEMPTS = 4;

/** etcd's v2 keys API, for `etcd-legacy://h1,h2:2379/prefix`, with and without `+tls`. */
export async function etcdLegacy(uri: string, context: RegistryContext): Promise<Registry> {
  const target = await etcdTarget(uri, context.env);
  if (target.query.size > 0) throw new Error(`The URI ${target.name} takes nothing after a question mark.`);
  return etcdV2(target, plainLayout(target.path), context);
}

export function etcdV2(target: EtcdTarget, layout: Layout, context: RegistryContext): Registry {
  return new EtcdLegacy(target, layout, context);
}

/** What a write depends on, in the words of the v2 API. */
type Condition = Readonly<Record<string, string>>;

interface KeyNode {
  readonly key?: string;
  readonly value?: string;
  readonly dir?: boolean;
  /** Seconds left; absent for one that stays. */
  readonly ttl?: number;
  readonly nodes?: readonly KeyNode[];
}

const KEY_NODE: v.GenericSchema<KeyNode> = v.object({
  key: v.exactOptional(v.string()),
  value: v.exactOptional(v.string()),
  dir: v.exactOptional(v.boolean()),
  ttl: v.exactOptional(v.number()),
  nodes: v.exactOptional(v.array(v.lazy(() => KEY_NODE))),
});
const READ = v.object({ node: v.optional(KEY_NODE) });
const REFUSAL = v.object({
  errorCode: v.optional(v.number()),
  message: v.optional(v.string()),
  cause: v.optional(v.string()),
});

class EtcdLegacy implements Registry {
  readonly name: string;
  readonly dnsName?: (serviceName: string) => string;
  /** The v2 API has no transactions. */
  readonly batchSize = 1;
  readonly #endpoints: EtcdEndpoints;
  readonly #credentials: EtcdCredentials | undefined;
  readonly #layout: Layout;
  readonly #owner: Owner;
  /** Seconds; absent without `--ttl`. */
  readonly #ttl: number | undefined;
  /** What this process wrote, and so keeps alive. */
  readonly #written = new Map<string, Written>();
  /** What it found to be ours: its own, though a claim be lost. */
  readonly #found = new Map<string, Written>();
  #findings: Findings;

  constructor(target: EtcdTarget, layout: Layout, { owner, ttl }: RegistryContext) {
    this.name = target.name;
    this.#endpoints = new EtcdEndpoints(target);
    this.#credentials = target.credentials;
    this.#layout = layout;
    if (layout.dnsName !== undefined) this.dnsName = layout.dnsName;
    this.#owner = owner;
    this.#findings = new Findings(owner);
    this.#ttl = ttl === undefined ? undefined : Math.ceil(ttl);
  }

  async connect(signal: AbortSignal): Promise<void> {
    await this.#read(this.#layout.prefix, false, signal);
  }

  entry(service: Service): Entry {
    const { id, name, address, port } = service;
    const bound = this.#ttl === undefined ? '' : KEPT_ALIVE;
    const content = `${this.#layout.value(service)}${bound}`;
    return { key: this.#layout.key(service), content, id, name, address, port };
  }

  register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    return each(
      services,
      (service) => this.#layout.key(service),
      CONCURRENCY,
      (service) => this.#retried(this.#layout.key(service), signal, () => this.#write(service, signal)),
    );
  }

  deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    return each(
      entries,
      ({ key }) => key,
      CONCURRENCY,
      (entry) => this.#retried(entry.key, signal, () => this.#remove(entry, signal)),
    );
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const [root, claims] = await Promise.all([
      this.#read(this.#layout.prefix, true, signal),
      this.#read(this.#layout.claims, true, signal),
    ]);
    const stored = leaves(root).map(
      ({ key = '', value = '', ttl }): Stored => ({ key, value, bound: this.#boundText(key, ttl) }),
    );
    const byKey = new Map(leaves(claims).map(({ key = '', value = '' }) => [claimedKey(this.#layout, key), value]));
    const known = new Map([...this.#found, ...this.#written]);
    this.#findings = findings(this.#layout, this.#owner, stored, byKey, known);
    for (const [key, found] of knownBy(this.#findings, stored)) this.#found.set(key, found);
    return this.#findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  /** Extends the TTL without a word to those who watch the key; one that has gone is written anew. */
  refresh(services: readonly Service[], signal: AbortSignal): Promise<void> {
    if (this.#ttl === undefined) return Promise.resolve();
    const ttl = String(this.#ttl);
    return each(
      services,
      (service) => this.#layout.key(service),
      CONCURRENCY,
      (service) =>
        this.#send(
          'PUT',
          this.#layout.key(service),
          { ttl, refresh: 'true', prevExist: 'true', prevValue: this.#layout.value(service) },
          signal,
        ).catch((error: unknown) => {
          if (![KEY_NOT_FOUND, TEST_FAILED].includes(codeOf(error) ?? 0)) throw error;
          return this.register([service], signal);
        }),
    );
  }

  lost(signal: AbortSignal): Promise<string> {
    return this.#endpoints.lost(signal);
  }

  async close(): Promise<void> {
    this.#endpoints.close();
  }

  /** How long the key will be: `entry` says the same of one that is as it should be. */
  #boundText(key: string, ttl: number | undefined): string {
    if (ttl === undefined) return '';
    // What the process before this one wrote may run out before the first heartbeat: it is written anew.
    return this.#ttl !== undefined && this.#written.has(key) ? KEPT_ALIVE : ' (expires)';
  }

  /** Again where somebody writes between a look and the writing that follows it. */
  #retried(key: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    return retryingAfterRaces(TRIES, signal, () =>
      work().catch((error: unknown) => {
        if (![KEY_NOT_FOUND, TEST_FAILED, NODE_EXISTS].includes(codeOf(error) ?? 0)) throw error;
        throw new RaceError(`the key ${key} in etcd, or its claim, changes again and again`);
      }),
    );
  }

  async #write(service: Service, signal: AbortSignal): Promise<void> {
    const entry = this.entry(service);
    const { key } = entry;
    const value = this.#layout.value(service);
    const isShown = showsOwner(this.#layout, this.#owner, key);
    const seen = isShown ? undefined : await this.#look(key, signal);
    this.#expectFree(entry, seen, value);
    // What gets no answer may have been done all the same.
    const before = this.#written.get(key)?.values ?? [];
    this.#written.set(key, { entry, values: [...before.filter((other) => other !== value), value].slice(-ATTEMPTS) });
    // Without a TTL here, one that the key had is dropped.
    const ttl = this.#ttl === undefined ? {} : { ttl: String(this.#ttl) };
    await this.#send('PUT', key, { value, ...ttl, ...(seen && unchanged(seen.value)) }, signal);
    this.#written.set(key, { entry, values: [value] });
    // After the key, which only one of those who ask for it gets: never a claim of ours beside somebody else's entry.
    const claim = claimValue(this.#owner, entry);
    if (seen === undefined || seen.claim === claim) return;
    await this.#send('PUT', claimKey(this.#layout, key), { value: claim, ...unchanged(seen.claim) }, signal);
  }

  /** @throws ConflictError. @param seen undefined for a key that shows our name, and needs no claim */
  #expectFree(entry: Entry, seen: AtKey | undefined, value: string): void {
    // Nobody else claims a key that shows our name, but by a SERVICE_ID that copies it.
    const claimant = seen === undefined ? this.#findings.holders.get(entry.key) : undefined;
    if (claimant !== undefined) throw conflict(entry.key, claimant);
    // A claim outlives its entry where its host died: it may be taken over.
    if (seen?.value === undefined) return;
    const known = [value, ...this.#known(entry.key)];
    if (!isOwn(this.#layout, this.#owner, entry, seen, known)) throw conflict(entry.key, holder(entry, seen));
  }

  async #remove(entry: Entry, signal: AbortSignal): Promise<void> {
    const { key } = entry;
    const seen = await this.#look(key, signal);
    const known = this.#known(key);
    const own = isOwn(this.#layout, this.#owner, entry, seen, known);
    if (seen.value !== undefined && !own) throw conflict(key, holder(entry, seen));
    if (seen.value !== undefined) {
      await this.#send('DELETE', key, { prevValue: seen.value }, signal);
      await this.#removeFolderOf(key, signal);
    }
    this.#written.delete(key);
    this.#found.delete(key);
    if (seen.claim === undefined || !own) return;
    const claimed = claimKey(this.#layout, key);
    await this.#send('DELETE', claimed, { prevValue: seen.claim }, signal);
    await this.#removeFolderOf(claimed, signal);
  }

  #known(key: string): readonly string[] {
    return [this.#written, this.#found].flatMap((from) => from.get(key)?.values ?? []);
  }

  async #look(key: string, signal: AbortSignal): Promise<AtKey> {
    const [entry, claim] = await Promise.all([
      this.#read(key, false, signal),
      this.#read(claimKey(this.#layout, key), false, signal),
    ]);
    return { value: entry?.value, claim: claim?.value };
  }

  /** etcd removes a folder only when it is empty, and makes it again with the next key: no race. */
  async #removeFolderOf(key: string, signal: AbortSignal): Promise<void> {
    const folder = key.slice(0, key.lastIndexOf('/'));
    await this.#send('DELETE', folder, { dir: 'true' }, signal).catch((error: unknown) => {
      if (codeOf(error) === undefined) throw error;
    });
  }

  /** By the majority's word, not that of a member that lags behind. Undefined where there is no such key. */
  async #read(key: string, recursive: boolean, signal: AbortSignal): Promise<KeyNode | undefined> {
    const params = { quorum: 'true', ...(recursive ? { recursive: 'true' } : {}) };
    try {
      const answer = await this.#send('GET', key, params, signal);
      return checked(READ, answer, 'What answers is no etcd v2').node;
    } catch (error) {
      if (codeOf(error) === KEY_NOT_FOUND) return undefined;
      throw error;
    }
  }

  async #send(
    method: 'GET' | 'PUT' | 'DELETE',
    key: string,
    fields: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown> {
    const path = `/v2/keys${key.split('/').map(encodeURIComponent).join('/') || '/'}`;
    const headers = await this.#headers();
    const what = method === 'PUT' ? { data: new URLSearchParams(fields) } : { params: fields };
    try {
      return await this.#endpoints.request({ method, url: path, ...what, headers, signal });
    } catch (error) {
      throw asRefusal(error, key);
    }
  }

  async #headers(): Promise<Record<string, string>> {
    if (this.#credentials === undefined) return {};
    const { username, password } = this.#credentials;
    return { Authorization: `Basic ${Buffer.from(`${username}:${await password()}`).toString('base64')}` };
  }
}

/** etcd says no, with a code of the v2 API. */
class LegacyRefusal extends RefusedError {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const codeOf = (error: unknown) => (error instanceof LegacyRefusal ? error.code : undefined);

function asRefusal(error: unknown, key: string): unknown {
  if (!(error instanceof HttpStatusError)) return error;
  const { errorCode, message, cause } = v.is(REFUSAL, error.data) ? error.data : {};
  if (error.status === 401) {
    return new ForbiddenError(
      `etcd does not let us at ${key} («${message ?? 'unauthorized'}»): set ETCD_USERNAME, and ETCD_PASSWORD or ETCD_PASSWORD_FILE, to a user whose role may read and write there.`,
    );
  }
  if (errorCode === undefined) {
    return new Error(
      `What answers has no etcd v2 API (HTTP ${error.status}): start etcd with --enable-v2, or use etcd:// or coredns:// for the v3 API.`,
    );
  }
  return new LegacyRefusal(errorCode, `etcd says «${message ?? errorCode}» of ${cause || key}.`);
}

/** That a key still holds this value, or (undefined) is not there. */
const unchanged = (value: string | undefined): Condition =>
  value === undefined ? { prevExist: 'false' } : { prevValue: value };

function leaves(node: KeyNode | undefined): KeyNode[] {
  if (node === undefined) return [];
  return node.dir === true ? (node.nodes ?? []).flatMap(leaves) : [node];
}
