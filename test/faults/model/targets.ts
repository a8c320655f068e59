import type { Logger } from '../../../src/lib/log/index.ts';
import { createRegistry, type Entry, type Owner, type Registry } from '../../../src/registries/index.ts';
import type { Service } from '../../../src/services/index.ts';
import type { ConsulServer } from '../../support/consul.ts';
import type { EtcdServer } from '../../support/etcd.ts';
import { FaultProxy } from '../../support/proxy.ts';

export type RegistryState = 'down' | 'stalled' | 'slow' | 'refusing' | 'well';

/** A registry under test, as one sequence has it: how registrator reaches it, how it goes wrong, and what it holds. */
export interface Target extends AsyncDisposable {
  /** Whether it keeps what it holds when registrator is killed. */
  readonly outlives: boolean;
  /** Seconds of `--ttl`. */
  readonly ttl?: number;
  open(owner: Owner, log: Logger): Promise<Registry>;
  become(state: RegistryState): Promise<void>;
  /** Forgets all of this sequence's, as a server that was restarted on a new disk. */
  empty(): Promise<void>;
  /** As an operator, or another host's registrator, would: what it says stays until somebody changes it. */
  putForeign(number: number, port: number): Promise<void>;
  /** What it holds of this host, by ID, in the words of ModelHost.expected. */
  own(): Promise<Map<string, string>>;
  /** The expectation as far as this registry can hold it. */
  comparable?(expected: ReadonlyMap<string, string>): Map<string, string>;
  /** What it holds of others in this sequence: the port that each says. */
  foreign(): Promise<Map<number, number>>;
}

const SLOW = 40;

/** A server behind a proxy that is a bad network. */
export abstract class Remote {
  readonly outlives = true;
  readonly proxy: FaultProxy;
  readonly host: string;

  readonly ttl?: number;

  /** @param listen a port that no client is given meanwhile */
  constructor(port: number, listen: number, host: string, ttl?: number) {
    this.proxy = new FaultProxy(port, listen);
    this.host = host;
    if (ttl !== undefined) this.ttl = ttl;
  }

  /** The registry behind the proxy, at a path that is empty or begins with a slash. */
  protected connect(scheme: string, path: string, owner: Owner, log: Logger): Promise<Registry> {
    const context = { owner, env: {}, log, ...(this.ttl === undefined ? {} : { ttl: this.ttl }) };
    return createRegistry(`${scheme}://${this.proxy.address}${path}`, context);
  }

  async become(state: RegistryState): Promise<void> {
    this.proxy.delayMs = state === 'slow' ? SLOW : 0;
    if (state === 'stalled') this.proxy.stall();
    else this.proxy.resume();
    // What a server refuses while it is sick: the connection is reset in the middle.
    if (state === 'refusing') this.proxy.cut();
    if (state === 'down') await this.proxy.stop();
    else if (!this.#up) await this.proxy.start();
    this.#up = state !== 'down';
  }
  #up = false;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.empty();
    await this.proxy.stop();
  }

  abstract empty(): Promise<void>;
}

/** The expectation of a registry that holds a name, an address and a port alone. */
export function withoutTagsAndHealth(expected: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...expected].map(([id, text]) => [id, text.replace(/ \[.*$/, '')]));
}

/** An operator's own, and two of hosts whose names begin like ours: the IDs of what `putForeign` puts, by number. */
export const foreignIds = (host: string) => [`operators-${host}`, `own-${host}-2-a`, `${host}-2:a:80`];

/** For `Target.foreign`: the ports of those that are there. */
export function portsByNumber(ports: readonly (string | number | undefined)[]): Map<number, number> {
  return new Map(
    [...ports.entries()].flatMap(([number, port]) => (port === undefined ? [] : [[number, Number(port)]])),
  );
}

interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
}

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

/** What an agent holds, by ID, in the words of ModelHost.expected. */
async function agentHolds(call: Call): Promise<Map<string, string>> {
  const services = await call<Record<string, AgentService>>('GET', '/v1/agent/services');
  const checks = await call<Record<string, { ServiceID: string; Status: string }>>('GET', '/v1/agent/checks');
  const health = (id: string) => {
    const states = Object.values(checks).flatMap(({ ServiceID, Status }) => (ServiceID === id ? [Status] : []));
    return ['critical', 'warning'].find((state) => states.includes(state)) ?? 'passing';
  };
  return new Map(
    Object.values(services).map(({ ID, Service, Address, Port, Tags }) => [
      ID,
      `${Service} ${Address}:${Port} [${Tags.join('|')}] ${health(ID)}`,
    ]),
  );
}

export class ConsulTarget extends Remote implements Target {
  readonly #consul: ConsulServer;

  constructor(consul: ConsulServer, listen: number, host: string) {
    super(consul.httpPort, listen, host);
    this.#consul = consul;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('consul', '', owner, log);
  }

  async empty(): Promise<void> {
    const ids = [...(await this.#held()).keys()];
    await Promise.all(ids.map((id) => this.#consul.api('PUT', `/v1/agent/service/deregister/${id}`)));
    this.proxy.cut();
  }

  async putForeign(number: number, Port: number): Promise<void> {
    const id = foreignIds(this.host)[number];
    const Meta = number === 1 ? { 'registrator-host': `${this.host}-2`, 'registrator-engine': 'another' } : {};
    await this.#consul.api('PUT', '/v1/agent/service/register', { ID: id, Name: 'web', Port, Meta });
  }

  async own(): Promise<Map<string, string>> {
    const foreign = new Set(foreignIds(this.host));
    return new Map([...(await this.#held())].filter(([id]) => !foreign.has(id)));
  }

  async foreign(): Promise<Map<number, number>> {
    const held = await this.#held();
    return portsByNumber(foreignIds(this.host).map((id) => /:(\d+) /.exec(held.get(id) ?? '')?.[1]));
  }

  /** Of this sequence, whoever's: other sequences use the same agent. */
  async #held(): Promise<Map<string, string>> {
    const held = await agentHolds((method, path) => this.#consul.api(method, path));
    return new Map([...held].filter(([id]) => new RegExp(`(^|-)${this.host}(-|:|$)`).test(id)));
  }
}

export class EtcdTarget extends Remote implements Target {
  readonly #etcd: EtcdServer;

  constructor(etcd: EtcdServer, listen: number, host: string, ttl: number | undefined) {
    super(etcd.port, listen, host, ttl);
    this.#etcd = etcd;
  }

  get #prefix(): string {
    return `/${this.host}/services`;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('etcd', this.#prefix, owner, log);
  }

  async empty(): Promise<void> {
    for (const prefix of [`${this.#prefix}/`, this.#claims]) {
      await this.#call('deleterange', { key: base64(prefix), range_end: base64(end(prefix)) });
    }
    this.proxy.cut();
  }

  async putForeign(number: number, port: number): Promise<void> {
    const key = this.#foreignKeys()[number] ?? '';
    await this.#call('put', { key: base64(key), value: base64(`10.0.0.1:${port}`) });
    if (number !== 1) return;
    const claim = { owner: `${this.host}-2`, engine: 'another', name: 'web', id: key.slice(key.lastIndexOf('/') + 1) };
    const claimKey = `/_registrator/${key.replaceAll('/', '%2F')}`;
    await this.#call('put', { key: base64(claimKey), value: base64(JSON.stringify(claim)) });
  }

  readonly comparable = withoutTagsAndHealth;

  async own(): Promise<Map<string, string>> {
    const foreign = new Set(this.#foreignKeys());
    const pairs = (await this.#list(`${this.#prefix}/`)).filter(({ key }) => !foreign.has(key));
    const own = new Map<string, string>();
    for (const { key, value, lease } of pairs) {
      const [name, id = ''] = key.slice(this.#prefix.length + 1).split('/');
      const expires = lease !== undefined && lease !== '0';
      if (own.has(id)) throw new Error(`${id} is there twice`);
      own.set(id, expires === (this.ttl !== undefined) ? `${name} ${value}` : `${key} has the lease ${lease}`);
    }
    const claimed = (await this.#list(this.#claims)).map(({ key }) => key.slice(this.#claims.length));
    for (const claim of claimed) {
      const id = claim.slice(claim.lastIndexOf('%2F') + 3);
      if (!own.has(id) && !foreignIds(this.host).includes(id)) own.set(`the claim of ${id}`, 'is there without a key');
    }
    return own;
  }

  async foreign(): Promise<Map<number, number>> {
    const values = new Map((await this.#list(`${this.#prefix}/`)).map(({ key, value }) => [key, value]));
    return portsByNumber(this.#foreignKeys().map((key) => values.get(key)?.split(':')[1]));
  }

  #foreignKeys(): string[] {
    return foreignIds(this.host).map((id) => `${this.#prefix}/web/${id}`);
  }

  get #claims(): string {
    return `/_registrator/%2F${this.host}%2Fservices%2F`;
  }

  async #list(prefix: string): Promise<{ key: string; value: string; lease?: string }[]> {
    const answer = await this.#call<{ kvs?: { key: string; value: string; lease?: string }[] }>('range', {
      key: base64(prefix),
      range_end: base64(end(prefix)),
    });
    const text = (base: string) => Buffer.from(base, 'base64').toString();
    return (answer.kvs ?? []).map(({ key, value, ...rest }) => ({ ...rest, key: text(key), value: text(value) }));
  }

  async #call<T>(method: string, body: unknown): Promise<T> {
    const response = await fetch(`http://${this.#etcd.address}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`etcd answers ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
/** The first key after all with this prefix. */
const end = (prefix: string) =>
  `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

/**
 * The embedded catalogue, read by its HTTP API. It has no network that could fail, so what goes wrong is put between it
 * and the reconciler.
 */
export class MemoryTarget implements Target {
  readonly outlives = false;
  readonly #agent: Agent = { address: '' };
  #registry: Unreliable | undefined;
  #state: RegistryState = 'well';

  async open(owner: Owner, log: Logger): Promise<Registry> {
    const listening = log.child({}, { msgPrefix: '' });
    const registry = await createRegistry('memory://127.0.0.1:0?dns=off', {
      owner,
      env: {},
      log: overhear(listening, (address) => {
        this.#agent.address = address;
      }),
    });
    this.#registry = new Unreliable(registry);
    this.#registry.become(this.#state);
    return this.#registry;
  }

  async become(state: RegistryState): Promise<void> {
    this.#state = state;
    this.#registry?.become(state);
  }

  async empty(): Promise<void> {
    await this.#registry?.loseAll();
  }

  async putForeign(): Promise<void> {}
  async foreign(): Promise<Map<number, number>> {
    return new Map();
  }

  own(): Promise<Map<string, string>> {
    return agentHolds(async (_, path) => {
      const response = await fetch(`http://${this.#agent.address}${path}`, { signal: AbortSignal.timeout(10_000) });
      return response.json() as never;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Agent {
  address: string;
}

/** A logger that tells of the address that the catalogue says it answers at. */
function overhear(log: Logger, tell: (address: string) => void): Logger {
  return new Proxy(log, {
    get(target, property, receiver) {
      if (property !== 'info') return Reflect.get(target, property, receiver);
      return (fields: { http?: string }, ...rest: string[]) => {
        if (typeof fields.http === 'string') tell(fields.http);
        target.info(fields, ...rest);
      };
    },
  });
}

/** Hands on each call, when and as far as its state lets it. */
class Unreliable implements Registry {
  readonly name: string;
  readonly batchSize: number;
  readonly #inner: Registry;
  #state: RegistryState = 'well';
  #changed = Promise.withResolvers<void>();
  #lost = Promise.withResolvers<string>();

  constructor(inner: Registry) {
    this.#inner = inner;
    this.name = inner.name;
    this.batchSize = inner.batchSize;
  }

  become(state: RegistryState): void {
    this.#state = state;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async loseAll(): Promise<void> {
    await this.#inner.deregister(await this.#inner.registered(AbortSignal.timeout(1_000)), AbortSignal.timeout(1_000));
    this.#lost.resolve('it was emptied');
    this.#lost = Promise.withResolvers();
  }

  entry = (service: Service) => this.#inner.entry(service);
  connect = (signal: AbortSignal) => this.#do(signal, () => this.#inner.connect(signal), true);
  register = (services: readonly Service[], signal: AbortSignal) =>
    this.#do(signal, () => this.#inner.register(services, signal));
  deregister = (entries: readonly Entry[], signal: AbortSignal) =>
    this.#do(signal, () => this.#inner.deregister(entries, signal));
  registered = (signal: AbortSignal) => this.#do(signal, () => this.#inner.registered(signal), true);
  refresh = (services: readonly Service[], signal: AbortSignal) =>
    this.#do(signal, async () => this.#inner.refresh?.(services, signal));
  lost = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#lost.promise.then(resolve);
    });
  close = () => this.#inner.close();

  async #do<T>(signal: AbortSignal, work: () => Promise<T>, isReading = false): Promise<T> {
    while (this.#state === 'stalled' && !signal.aborted) {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await Promise.race([this.#changed.promise, aborted]);
    }
    signal.throwIfAborted();
    if (this.#state === 'down' || (this.#state === 'refusing' && !isReading)) throw new Error('it is not well');
    if (this.#state === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW));
    return work();
  }
}
