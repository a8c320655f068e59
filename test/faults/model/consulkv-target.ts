import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import type { ConsulServer } from '../../support/consul.ts';
import { foreignIds, portsByNumber, Remote, type Target, withoutTagsAndHealth } from './targets.ts';

interface Pair {
  readonly Key: string;
  readonly Value: string | null;
  readonly Session?: string;
}

/** Consul's KV store, under a prefix of the sequence's own. */
export class ConsulKvTarget extends Remote implements Target {
  readonly comparable = withoutTagsAndHealth;
  readonly #consul: ConsulServer;

  constructor(consul: ConsulServer, listen: number, host: string, ttl: number | undefined) {
    super(consul.httpPort, listen, host, ttl);
    this.#consul = consul;
  }

  get #prefix(): string {
    return `${this.host}/services`;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('consulkv', `/${this.#prefix}`, owner, log);
  }

  async empty(): Promise<void> {
    await this.#call('DELETE', `${this.#prefix}?recurse=true`);
    this.proxy.cut();
  }

  async putForeign(number: number, port: number): Promise<void> {
    // The flags are another registrator's owner mark.
    const flags = number === 1 ? '?flags=4711' : '';
    await this.#call('PUT', `${this.#foreignKeys()[number]}${flags}`, `10.0.0.1:${port}`);
  }

  async own(): Promise<Map<string, string>> {
    const foreign = new Set(this.#foreignKeys());
    const own = new Map<string, string>();
    for (const { Key, Value, Session = '' } of await this.#pairs()) {
      if (foreign.has(Key)) continue;
      const [name, id = ''] = Key.slice(this.#prefix.length + 1).split('/');
      if (own.has(id)) throw new Error(`${id} is there twice`);
      const isRight = (Session !== '') === (this.ttl !== undefined);
      own.set(id, isRight ? `${name} ${text(Value)}` : `${Key} has the session ${Session}`);
    }
    return own;
  }

  async foreign(): Promise<Map<number, number>> {
    const values = new Map((await this.#pairs()).map(({ Key, Value }) => [Key, text(Value)]));
    return portsByNumber(this.#foreignKeys().map((key) => values.get(key)?.split(':')[1]));
  }

  #foreignKeys(): string[] {
    return foreignIds(this.host).map((id) => `${this.#prefix}/web/${id}`);
  }

  async #pairs(): Promise<readonly Pair[]> {
    const response = await this.#call('GET', `${this.#prefix}/?recurse=true`);
    return response.status === 404 ? [] : ((await response.json()) as Pair[]);
  }

  async #call(method: string, path: string, body?: string): Promise<Response> {
    const init = { method, signal: AbortSignal.timeout(10_000), ...(body === undefined ? {} : { body }) };
    const response = await fetch(`http://${this.#consul.address}/v1/kv/${path}`, init);
    if (!response.ok && response.status !== 404) throw new Error(`Consul answers ${response.status} to ${path}`);
    return response;
  }
}

const text = (value: string | null) => Buffer.from(value ?? '', 'base64').toString();
