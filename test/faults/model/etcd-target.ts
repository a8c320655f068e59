import type { Logger } from '../../../src/lib/log/index.ts';
import { skydnsLayout } from '../../../src/registries/etcd/skydns.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import type { EtcdServer } from '../../support/etcd.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import { foreignIds, Remote, stampsBySlot, type Target, withoutTagsAndHealth } from './targets.ts';

export type EtcdScheme = 'etcd' | 'etcd-legacy' | 'coredns' | 'skydns2';

interface Pair {
  readonly key: string;
  readonly value: string;
  readonly expires: boolean;
  /** The write that made it what it is. */
  readonly revision: string;
}

interface Api {
  /** Everything at keys that begin so; the prefix is a folder's, without its slash. */
  list(folder: string): Promise<Pair[]>;
  put(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
}

/** etcd by either API and in either layout, below a prefix of the sequence's own. */
export class EtcdTarget extends Remote implements Target {
  readonly #server: EtcdServer;
  readonly #scheme: EtcdScheme;
  readonly #api: Api;

  constructor(scheme: EtcdScheme, server: EtcdServer, listen: number, host: string, ttl: number | undefined) {
    super(server.port, listen, host, ttl);
    this.#scheme = scheme;
    this.#server = server;
    this.#api = scheme === 'etcd' || scheme === 'coredns' ? new V3(server) : new V2(server);
  }

  get #isDns(): boolean {
    return this.#scheme === 'coredns' || this.#scheme === 'skydns2';
  }
  get #folder(): string {
    return this.#isDns ? `/skydns/example/${this.host}` : `/${this.host}/services`;
  }
  get #claims(): string {
    return this.#isDns ? '/skydns/_registrator' : '/_registrator';
  }
  get #path(): string {
    return this.#isDns ? `/${this.host}.example` : this.#folder;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect(this.#scheme, this.#path, owner, log);
  }

  openBeside(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect(this.#scheme, this.#path, owner, log, {}, this.#server.address);
  }

  async empty(): Promise<void> {
    const keys = [...(await this.#api.list(this.#folder)), ...(await this.#ownClaims())].map(({ key }) => key);
    await Promise.all(keys.map((key) => this.#api.remove(key)));
    this.proxy.cut();
  }

  /** Without a claim, but for that of another host: ours would make it ours. */
  async putForeign(slot: number, port: number): Promise<void> {
    const key = this.#foreignKeys()[slot] ?? '';
    let tries = 0;
    const claim = `${this.#claims}/${key.replaceAll('/', '%2F')}`;
    const theirs = { owner: `${this.host}-2`, engine: 'another', name: 'web', id: foreignIds(this.host)[slot] };
    await eventuallyPasses(
      async () => {
        if (slot === 1) await this.#api.put(claim, JSON.stringify(theirs));
        else await this.#api.remove(claim);
        // Another one each time: what was ever there with our claim is known to be ours.
        const value = this.#foreignValue((port + tries++) % 65_536);
        await this.#api.put(key, value);
        // Between the two we may have claimed it, for it was ours.
        const pairs = [...(await this.#api.list(this.#folder)), ...(await this.#ownClaims())];
        if (pairs.find((pair) => pair.key === key)?.value !== value) throw new Error(`${key} was written over`);
        if (slot !== 1 && pairs.some((pair) => pair.key === claim)) throw new Error(`${key} was claimed`);
      },
      { everyMs: 5 },
    );
  }

  async removeForeign(slot: number): Promise<void> {
    await this.#api.remove(this.#foreignKeys()[slot] ?? '');
  }

  async loseClaims(): Promise<void> {
    const theirs = this.#foreignKeys()[1]?.replaceAll('/', '%2F') ?? '';
    const lost = (await this.#ownClaims()).filter(({ key }) => !key.endsWith(theirs));
    await Promise.all(lost.map(({ key }) => this.#api.remove(key)));
  }

  async unclaimed(): Promise<ReadonlySet<string>> {
    const claimed = new Set((await this.#ownClaims()).map(({ key }) => key.slice(this.#claims.length + 1)));
    const pairs = await this.#api.list(this.#folder);
    const without = pairs.filter(({ key }) => !claimed.has(key.replaceAll('/', '%2F')));
    return new Set(without.map(({ key }) => key.slice(key.lastIndexOf('/') + 1)).filter((id) => !id.includes(':')));
  }

  comparable(expected: ReadonlyMap<string, string>): Map<string, string> {
    const plain = withoutTagsAndHealth(expected);
    return this.#isDns ? new Map([...plain].map(([id, text]) => [idLabel(id), text])) : plain;
  }

  async own(): Promise<Map<string, string>> {
    const foreign = new Set([...(await this.foreign()).keys()].map((slot) => this.#foreignKeys()[slot]));
    const own = new Map<string, string>();
    for (const { key, value, expires } of await this.#api.list(this.#folder)) {
      if (foreign.has(key)) continue;
      const [name, id = ''] = key.slice(this.#folder.length + 1).split('/');
      if (own.has(id)) throw new Error(`${id} is there twice`);
      const endpoint = this.#isDns ? endpointOf(value) : value;
      own.set(id, expires === (this.ttl !== undefined) ? `${name} ${endpoint}` : `${key} expires: ${expires}`);
    }
    const left = [...foreignIds(this.host)].map((id) => (this.#isDns ? idLabel(id) : id));
    for (const { key } of await this.#ownClaims()) {
      const id = key.slice(key.lastIndexOf('%2F') + 3);
      if (!own.has(id) && !left.includes(id)) own.set(`the claim of ${id}`, 'is there without a key');
    }
    return own;
  }

  async foreign(): Promise<Map<number, string>> {
    const pairs = new Map((await this.#api.list(this.#folder)).map((pair) => [pair.key, pair]));
    return stampsBySlot(
      this.#foreignKeys().map((key) => {
        const pair = pairs.get(key);
        return pair?.value.includes('10.0.0.1') === true ? JSON.stringify(pair) : undefined;
      }),
    );
  }

  #foreignKeys(): string[] {
    return foreignIds(this.host).map((id) => `${this.#folder}/web/${this.#isDns ? idLabel(id) : id}`);
  }

  #foreignValue(port: number): string {
    return this.#isDns ? JSON.stringify({ host: '10.0.0.1', port }) : `10.0.0.1:${port}`;
  }

  async #ownClaims(): Promise<Pair[]> {
    const folder = `${this.#claims}/${this.#folder.replaceAll('/', '%2F')}%2F`;
    return (await this.#api.list(this.#claims)).filter(({ key }) => key.startsWith(folder));
  }
}

function endpointOf(value: string): string {
  const { host, port } = JSON.parse(value) as { host: string; port: number };
  return `${host}:${port}`;
}

class V3 implements Api {
  readonly #server: EtcdServer;

  constructor(server: EtcdServer) {
    this.#server = server;
  }

  async list(folder: string): Promise<Pair[]> {
    interface Kv {
      readonly key: string;
      readonly value: string;
      readonly lease?: string;
      readonly mod_revision: string;
    }
    const answer = await this.#call<{ kvs?: Kv[] }>('range', {
      key: base64(`${folder}/`),
      range_end: base64(`${folder}0`),
    });
    return (answer.kvs ?? []).map(({ key, value, lease = '0', mod_revision: revision }) => {
      return { key: text(key), value: text(value), expires: lease !== '0', revision };
    });
  }

  async put(key: string, value: string): Promise<void> {
    await this.#call('put', { key: base64(key), value: base64(value) });
  }

  async remove(key: string): Promise<void> {
    await this.#call('deleterange', { key: base64(key) });
  }

  async #call<T>(method: string, body: unknown): Promise<T> {
    const response = await fetch(`http://${this.#server.address}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`etcd answers ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }
}

interface Node {
  readonly key: string;
  readonly value?: string;
  readonly ttl?: number;
  readonly modifiedIndex: number;
  readonly nodes?: readonly Node[];
}

class V2 implements Api {
  readonly #server: EtcdServer;

  constructor(server: EtcdServer) {
    this.#server = server;
  }

  async list(folder: string): Promise<Pair[]> {
    const answer = await this.#call<{ node?: Node }>('GET', `${folder}?recursive=true&quorum=true`);
    return leaves(answer.node);
  }

  async put(key: string, value: string): Promise<void> {
    await this.#call('PUT', key, new URLSearchParams({ value }));
  }

  async remove(key: string): Promise<void> {
    await this.#call('DELETE', key);
  }

  async #call<T>(method: string, path: string, body?: URLSearchParams): Promise<T> {
    // A claim's name has percent signs of its own.
    const response = await fetch(`http://${this.#server.address}/v2/keys${path.replaceAll('%', '%25')}`, {
      method,
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok && response.status !== 404) throw new Error(`etcd answers ${response.status} to ${path}`);
    return (await response.json()) as T;
  }
}

function leaves(node: Node | undefined): Pair[] {
  if (node?.value === undefined) return (node?.nodes ?? []).flatMap(leaves);
  const { key, value, ttl, modifiedIndex } = node;
  return [{ key, value, expires: ttl !== undefined, revision: String(modifiedIndex) }];
}

const dns = skydnsLayout(['skydns'], 'example');
/** The label that stands for an ID. */
const idLabel = (id: string) => dns.key({ name: 'web', id }).split('/').at(-1) ?? '';

const base64 = (words: string) => Buffer.from(words).toString('base64');
const text = (base: string) => Buffer.from(base, 'base64').toString();
