import { createHash } from 'node:crypto';
import { checked } from '../../lib/checked.ts';
import { hostPort, parseHostPort } from '../../lib/host-port.ts';
import { type HttpClient, HttpStatusError } from '../../lib/http/index.ts';
import { RaceError, retryingAfterRaces } from '../../lib/retrying-after-races.ts';
import type { Service } from '../../services/index.ts';
import {
  decodeSegment,
  each,
  encodeSegment,
  Findings,
  firstLoss,
  holderOf,
  hostOfId,
  inBatches,
  type Mark,
  ownership,
} from '../kit/index.ts';
import type { RegistryContext } from '../registry.ts';
import {
  ConflictError,
  type Entry,
  ForbiddenError,
  type Others,
  type Owner,
  RefusedError,
  type Registry,
} from '../registry.ts';
import { KV_PAIRS, KV_TXN, type KvPair, NO_CONSUL } from './answers.ts';
import { consulClient } from './client.ts';
import { ConsulSession } from './kv-session.ts';

/** Operations that Consul takes in one transaction (agent/txn_endpoint: maxTxnOps). */
const TXN_OPERATIONS = 64;
/** One service: its value, off the session that holds it, on to ours. */
const OPERATIONS_PER_SERVICE = 3;
/** Looks at a key that changes under our hands. */
const TRIES = 5;

/**
 * `consulkv://host:port/prefix` and `consulkv-unix:///path:/prefix`: keys `<prefix>/<name>/<id>` with the value
 * `<address>:<port>`, in the layout of gliderlabs/registrator. With `--ttl` they are locked by a session of that TTL,
 * with which they go: when registrator ends, they stay for the TTL, in which the next one takes them over.
 */
export async function consulKv(uri: string, context: RegistryContext): Promise<Registry> {
  const { client, name, path } = consulClient(uri, context.env);
  const prefix = parsePrefix(path);
  const session = context.ttl === undefined ? undefined : new ConsulSession(client, context.ttl);
  return new ConsulKv(client, name, prefix, context.owner, session);
}

/** With a slash at its end, or empty. Throws an Error with one sentence. */
function parsePrefix(path: string): string {
  if (path === '') return '';
  let prefix: string;
  try {
    prefix = decodeURIComponent(path);
  } catch {
    throw new Error('The prefix in the consulkv URI has a percent sign that encodes nothing: write it as %25.');
  }
  if (prefix.split('/').some((part) => part === '' || part === '.' || part === '..'))
    throw new Error('The prefix in the consulkv URI has an empty part, a "." or a "..": write it as in /my/prefix.');
  return `${prefix}/`;
}

/** What Consul holds at a key, as far as we know. */
interface KeyState {
  readonly index: number;
  /** The session that locks it; empty for none. */
  readonly session: string;
}

interface KvOperation {
  readonly Verb: 'get' | 'cas' | 'lock' | 'unlock' | 'delete-cas';
  readonly Key: string;
  readonly Value?: string;
  readonly Flags?: number;
  readonly Index?: number;
  readonly Session?: string;
}

class ConsulKv implements Registry {
  readonly name: string;
  readonly batchSize = Math.floor(TXN_OPERATIONS / OPERATIONS_PER_SERVICE);
  readonly #client: HttpClient;
  readonly #prefix: string;
  readonly #owner: Owner;
  readonly #flags: number;
  /** Absent without `--ttl`. */
  readonly #session: ConsulSession | undefined;
  /** Our own keys. Where it is out of date, a transaction fails, and the key is read anew. */
  #held = new Map<string, KeyState>();
  #findings: Findings;
  /** Names of hosts by the hash that stands for them in flags, as far as IDs show them. */
  readonly #hosts = new Map<string, string>();

  constructor(client: HttpClient, name: string, prefix: string, owner: Owner, session: ConsulSession | undefined) {
    this.#client = client;
    this.name = name;
    this.#prefix = prefix;
    this.#owner = owner;
    this.#flags = ownerFlags(owner);
    this.#findings = new Findings(owner);
    this.#session = session;
  }

  async connect(signal: AbortSignal): Promise<void> {
    const { data } = await this.#client.get<unknown>('/v1/status/leader', { signal, timeout: 5_000 });
    if (data === '') throw new Error('Consul has no leader now: it takes no keys until its servers elect one.');
  }

  entry(service: Service): Entry {
    return {
      key: `${this.#prefix}${encodeSegment(service.name)}/${encodeSegment(service.id)}`,
      content: hostPort(service.address, service.port).toWellFormed(),
      id: service.id,
      name: service.name,
      address: service.address,
      port: service.port,
    };
  }

  async register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    const entries = services.map((service) => this.entry(service));
    const session = (await this.#session?.id(signal)) ?? '';
    const operations = entries.flatMap((entry) => this.#writing(entry, this.#held.get(entry.key), session));
    if (await this.#commit(operations, session, signal)) return;
    await this.#each(entries, (entry) => this.#writeAlone(entry, signal));
  }

  async deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const known = entries.map(({ key }) => ({ key, held: this.#held.get(key) }));
    const operations = known.flatMap(({ key, held }) => (held ? [deleting(key, held)] : []));
    if (operations.length === entries.length && (await this.#commit(operations, '', signal))) return;
    await this.#each(entries, (entry) => this.#deleteAlone(entry, signal));
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const path = this.#prefix.split('/').map(encodeURIComponent).join('/');
    const { data } = await this.#client
      .get<unknown>(`/v1/kv/${path}`, { params: { recurse: 'true' }, signal })
      .catch((error: unknown) => {
        if (error instanceof HttpStatusError && error.status === 404) return { data: [] };
        throw error;
      });
    const held = new Map<string, KeyState>();
    const findings = new Findings(this.#owner);
    const pairs = checked(KV_PAIRS, data, NO_CONSUL);
    this.#noteHosts(pairs);
    for (const pair of pairs) {
      const entry = this.#asEntry(pair);
      if (entry === undefined || !findings.add(entry, { mark: this.#markOf(pair) })) continue;
      held.set(pair.Key, { index: pair.ModifyIndex, session: pair.Session ?? '' });
    }
    this.#held = held;
    this.#findings = findings;
    return findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  /** Renews the session; where it is gone, and its keys with it, they are written anew under another one. */
  async refresh(services: readonly Service[], signal: AbortSignal): Promise<void> {
    if (this.#session === undefined || (await this.#session.renew(signal))) return;
    await inBatches(services, this.batchSize, (batch) => this.register(batch, signal));
  }

  lost(signal: AbortSignal): Promise<string> {
    return firstLoss([this.#client, ...(this.#session ? [this.#session] : [])], signal);
  }

  async close(): Promise<void> {
    this.#session?.close();
    this.#client.close();
  }

  #noteHosts(pairs: readonly KvPair[]): void {
    this.#hosts.clear();
    for (const { Key, Flags } of pairs) {
      const [mark, host] = [readFlags(Flags), hostOfId(idOf(Key))];
      if (mark !== undefined && host !== undefined && host !== this.#owner.host) this.#hosts.set(mark.host, host);
    }
  }

  /** The host's name is there as a hash alone. */
  #markOf({ Flags }: Pick<KvPair, 'Flags'>): Mark | undefined {
    const found = readFlags(Flags);
    if (found === undefined) return undefined;
    const own = readFlags(this.#flags);
    return {
      host: found.host === own?.host ? this.#owner.host : this.#hosts.get(found.host),
      engine: found.engine === own?.engine ? this.#owner.engine : undefined,
    };
  }

  /** @throws ConflictError. @param wanted what this host would write there */
  #expectOwn(pair: KvPair, wanted?: Entry): void {
    const id = idOf(pair.Key);
    const { value, address } = endpointIn(pair);
    const held = { id, address, mark: this.#markOf(pair), isWanted: value === wanted?.content };
    if (ownership(this.#owner, held) !== 'own')
      throw new ConflictError(`The key ${pair.Key} in Consul`, holderOf(held));
  }

  #asEntry(pair: KvPair): Entry | undefined {
    const { Key, Flags, Session = '' } = pair;
    const parts = Key.slice(this.#prefix.length).split('/');
    const [name, id] = parts.map(decodeSegment);
    if (name === undefined || id === undefined || parts.length > 2) return undefined;
    const { value, address, port } = endpointIn(pair);
    // A key of the session before, that of the process before this one, goes with it: it has to be taken over.
    const bound = this.#session === undefined ? Session === '' : Session !== '' && Session === this.#session.present;
    const marked = Flags === this.#flags || readFlags(Flags) === undefined;
    const state = `${bound ? '' : ' by another session'}${marked ? '' : ' with another mark'}`;
    return { key: Key, content: `${value}${state}`, id, name, address, port };
  }

  #writing({ key, content }: Entry, held: KeyState | undefined, session: string): KvOperation[] {
    const pair = { Key: key, Value: Buffer.from(content).toString('base64'), Flags: this.#flags };
    const other = held !== undefined && held.session !== '' && held.session !== session;
    return [
      // Index 0: only where there is no such key. A session that holds the key goes on holding it.
      { ...pair, Verb: 'cas', Index: held?.index ?? 0 },
      ...(other ? [{ ...pair, Verb: 'unlock' as const, Session: held.session }] : []),
      ...(session === '' ? [] : [{ ...pair, Verb: 'lock' as const, Session: session }]),
    ];
  }

  /** All of it or nothing: false, when Consul did nothing because of one of the operations. */
  async #commit(operations: readonly KvOperation[], session: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#transact(operations, session, signal)) === undefined;
  }

  /** What the transaction failed for, in Consul's words. */
  async #transact(
    operations: readonly KvOperation[],
    session: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const body = operations.map((KV) => ({ KV }));
      const { data } = await this.#client.put<unknown>('/v1/txn', body, {
        signal,
      });
      const { Results } = checked(KV_TXN, data, NO_CONSUL);
      for (const { Key, Verb } of operations) if (Verb === 'delete-cas') this.#held.delete(Key);
      for (const { KV } of Results ?? []) this.#held.set(KV.Key, { index: KV.ModifyIndex, session });
      return undefined;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return words(error);
    }
  }

  /** A batch at once: the client bounds how many calls are under way. */
  #each(entries: readonly Entry[], work: (entry: Entry) => Promise<void>): Promise<void> {
    return each(entries, ({ key }) => key, this.batchSize, work);
  }

  #writeAlone(entry: Entry, signal: AbortSignal): Promise<void> {
    return retryingAfterRaces(TRIES, signal, async () => {
      const session = (await this.#session?.id(signal)) ?? '';
      const pair = await this.#read(entry.key, signal);
      if (pair !== undefined) this.#expectOwn(pair, entry);
      const held = pair && { index: pair.ModifyIndex, session: pair.Session ?? '' };
      const failure = await this.#transact(this.#writing(entry, held, session), session, signal);
      if (failure === undefined) return;
      const isExpired = /invalid session/i.test(failure);
      if (isExpired) this.#session?.forget(session);
      throw isExpired || isRace(failure) ? changing(failure, entry.key) : refusal(failure, entry.key);
    });
  }

  #deleteAlone(entry: Entry, signal: AbortSignal): Promise<void> {
    return retryingAfterRaces(TRIES, signal, async () => {
      const pair = await this.#read(entry.key, signal);
      if (pair === undefined) {
        this.#held.delete(entry.key);
        return;
      }
      this.#expectOwn(pair);
      const held = { index: pair.ModifyIndex, session: pair.Session ?? '' };
      const failure = await this.#transact([deleting(entry.key, held)], '', signal);
      if (failure !== undefined) throw isRace(failure) ? changing(failure, entry.key) : refusal(failure, entry.key);
    });
  }

  /** By a transaction, which has the key in its body: no key can alter its path. */
  async #read(key: string, signal: AbortSignal): Promise<KvPair | undefined> {
    const body = [{ KV: { Verb: 'get', Key: key } }];
    try {
      const { data } = await this.#client.put<unknown>('/v1/txn', body, { signal });
      return checked(KV_TXN, data, NO_CONSUL).Results?.[0]?.KV;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (/doesn't exist/i.test(words(error))) return undefined;
      throw refusal(words(error), key);
    }
  }
}

function deleting(key: string, held: KeyState): KvOperation {
  return { Verb: 'delete-cas', Key: key, Index: held.index };
}

const idOf = (key: string) => decodeSegment(key.slice(key.lastIndexOf('/') + 1));

function endpointIn({ Value }: KvPair): { readonly value: string; readonly address: string; readonly port: number } {
  const value = Buffer.from(Value ?? '', 'base64').toString();
  const { host: address = '', port = 0 } = parseHostPort(value) ?? {};
  return { value, address, port };
}

/** What flags begin with that are an owner mark. */
const MARKED = '52';

/**
 * The owner mark, which readers of the keys take no notice of: hashes of host and engine. 52 bits in hexadecimal, for
 * JSON numbers hold no more exactly: the sign of a mark (2 digits), the host's name (6), the engine's ID (5).
 */
export function ownerFlags({ host, engine }: Owner): number {
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  return Number.parseInt(`${MARKED}${hash(host).slice(0, 6)}${hash(engine).slice(0, 5)}`, 16);
}

function readFlags(flags: number): { readonly host: string; readonly engine: string } | undefined {
  const digits = flags.toString(16);
  if (digits.length !== 13 || !digits.startsWith(MARKED)) return undefined;
  return { host: digits.slice(2, 8), engine: digits.slice(8) };
}

/** Somebody wrote the key between our look and our writing. */
const isRace = (failure: string) => /index is stale|lock is already held|lock isn't held/i.test(failure);

const changing = (failure: string, key: string) =>
  new RaceError(`Consul says «${failure}», and the key ${key} changes again and again`);

function refusal(failure: string, key: string): RefusedError {
  if (!/permission denied/i.test(failure)) return new RefusedError(`Consul says «${failure}».`);
  return new ForbiddenError(
    `Consul says «${failure}»: the token lacks key:write for "${key}" (with --ttl session:write too). Set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to one that has it.`,
  );
}

/** Anything else may pass by itself. */
function isRefusal(error: unknown): error is HttpStatusError {
  return error instanceof HttpStatusError && error.status < 500 && error.status !== 429;
}

function words(error: HttpStatusError): string {
  const { Errors } = (error.data ?? {}) as { Errors?: readonly { What?: string }[] | null };
  const text = Errors?.map(({ What = '' }) => What).join('; ') ?? String(error.data ?? '').trim();
  return text.slice(0, 300) || `HTTP ${error.status}`;
}
