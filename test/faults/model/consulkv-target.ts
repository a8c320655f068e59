import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import type { ConsulServer } from '../../support/consul.ts';
import { TokenFile } from './consul-target.ts';
import { foreignIds, Remote, type Target, withoutTagsAndHealth } from './targets.ts';

interface Pair {
  readonly Key: string;
  readonly Value: string | null;
  readonly Flags: number;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

/** Flags that nobody but `putForeign` writes. */
const FOREIGN = [0, 4711, 0, 42, 43, 44];

/** Consul's KV store, under a prefix of the sequence's own. */
export class ConsulKvTarget extends Remote implements Target {
  readonly comparable = withoutTagsAndHealth;
  readonly #consul: ConsulServer;
  readonly #token: TokenFile;

  constructor(consul: ConsulServer, listen: number, host: string, ttl: number | undefined) {
    super(consul.httpPort, listen, host, ttl);
    this.#consul = consul;
    this.#token = new TokenFile(consul);
  }

  get #prefix(): string {
    return `${this.host}/services`;
  }

  async prepare(): Promise<void> {
    await this.#token.rotate();
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('consulkv', `/${this.#prefix}`, owner, log, this.#token.env);
  }

  openBeside(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('consulkv', `/${this.#prefix}`, owner, log, this.#token.env, this.#consul.address);
  }

  rotateToken(): Promise<void> {
    return this.#token.rotate();
  }

  async empty(): Promise<void> {
    await this.#call('DELETE', `${this.#prefix}?recurse=true`);
    this.proxy.cut();
  }

  async putForeign(slot: number, port: number): Promise<void> {
    const key = this.#foreignKeys()[slot];
    // Ours may be locked by its session, which an operator's writing does not end.
    await this.#call('DELETE', `${key}`);
    await this.#call('PUT', `${key}?flags=${FOREIGN[slot]}`, `10.0.0.1:${port}`);
  }

  async removeForeign(slot: number): Promise<void> {
    await this.#call('DELETE', `${this.#foreignKeys()[slot]}`);
  }

  async own(): Promise<Map<string, string>> {
    const own = new Map<string, string>();
    for (const pair of await this.#pairs()) {
      if (this.#slotOf(pair) !== undefined) continue;
      const { Key, Value, Session = '' } = pair;
      const [name, id = ''] = Key.slice(this.#prefix.length + 1).split('/');
      if (own.has(id)) throw new Error(`${id} is there twice`);
      const isRight = (Session !== '') === (this.ttl !== undefined);
      own.set(id, isRight ? `${name} ${text(Value)}` : `${Key} has the session ${Session}`);
    }
    return own;
  }

  async foreign(): Promise<Map<number, string>> {
    const pairs = await this.#pairs();
    return new Map(
      pairs.flatMap((pair) => {
        const slot = this.#slotOf(pair);
        return slot === undefined ? [] : [[slot, JSON.stringify(pair)] as const];
      }),
    );
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#token.remove();
  }

  #slotOf({ Key, Flags }: Pair): number | undefined {
    const slot = this.#foreignKeys().indexOf(Key);
    return slot >= 0 && Flags === FOREIGN[slot] ? slot : undefined;
  }

  #foreignKeys(): string[] {
    return foreignIds(this.host).map((id) => `${this.#prefix}/web/${id}`);
  }

  async #pairs(): Promise<readonly Pair[]> {
    const response = await this.#call('GET', `${this.#prefix}/?recurse=true`);
    return response.status === 404 ? [] : ((await response.json()) as Pair[]);
  }

  async #call(method: string, path: string, body?: string): Promise<Response> {
    const response = await fetch(`http://${this.#consul.address}/v1/kv/${path}`, {
      method,
      headers: { 'X-Consul-Token': this.#consul.token },
      signal: AbortSignal.timeout(10_000),
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok && response.status !== 404) throw new Error(`Consul answers ${response.status} to ${path}`);
    return response;
  }
}

const text = (value: string | null) => Buffer.from(value ?? '', 'base64').toString();
