import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import type { ZooKeeperServer } from '../../support/zookeeper.ts';
import type { ZooKeeperClient } from '../../support/zookeeper-client.ts';
import { portsByNumber, Remote, type Target } from './targets.ts';

interface Body {
  readonly Name: string;
  readonly IP: string;
  readonly PublicPort: number;
  readonly Tags?: readonly string[];
  readonly Attrs?: Readonly<Record<string, string>>;
}

const NOBODYS_SESSION = '0000000000000000';

/** Where an ID is no part of the key, it may be there several times: what the model expects of it is not comparable. */
const isShared = (id: string) => id.startsWith('shared-');

/** ZooKeeper, below a path of the sequence's own. */
export class ZooKeeperTarget extends Remote implements Target {
  readonly #client: ZooKeeperClient;

  /** @param client sees the server without the proxy between */
  constructor(server: ZooKeeperServer, client: ZooKeeperClient, listen: number, host: string) {
    super(server.port, listen, host);
    this.#client = client;
  }

  get #path(): string {
    return `/${this.host}`;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('zookeeper', this.#path, owner, log);
  }

  async empty(): Promise<void> {
    for (const path of (await this.#nodes()).keys()) await this.#client.remove(path).catch(() => undefined);
    this.proxy.cut();
  }

  async putForeign(number: number, PublicPort: number): Promise<void> {
    const path = this.#foreignPaths()[number] ?? '';
    // An operator's own, another host's, and that of a host whose name begins like ours.
    const mark = { 'registrator-host': number === 1 ? 'another' : `${this.host}-2`, 'registrator-engine': 'another' };
    const body: Body = { Name: 'web', IP: '10.0.0.1', PublicPort, ...(number === 0 ? {} : { Attrs: mark }) };
    // Registrator may remove the folder meanwhile, which its own last node has left empty.
    await eventuallyPasses(
      async () => {
        for (const folder of [this.#path, `${this.#path}/web`])
          await this.#client.create(folder, '', 'PERSISTENT').catch(() => undefined);
        await this.#client.remove(path).catch(() => undefined);
        await this.#client.create(path, JSON.stringify(body), 'PERSISTENT');
      },
      { everyMs: 5 },
    );
  }

  /** A node has no health, and there is one for each name and address: that of the container which started last. */
  comparable(expected: ReadonlyMap<string, string>): Map<string, string> {
    const byPath = new Map<string, readonly [id: string, text: string]>();
    for (const [id, text] of expected) {
      if (isShared(id)) continue;
      const [, path = '', tags = ''] = /^(\S+ \S+) (\[.*\]) \S+$/.exec(text) ?? [];
      byPath.set(path, [id, `${path} ${tags}`]);
    }
    return new Map(byPath.values());
  }

  async own(): Promise<Map<string, string>> {
    const foreign = new Set(this.#foreignPaths());
    const own = new Map<string, string>();
    for (const [path, { body, session }] of await this.#nodes()) {
      if (foreign.has(path)) continue;
      const { Name, IP, PublicPort, Tags = [], Attrs = {} } = body;
      const id = Attrs['registrator-id'] ?? path;
      if (isShared(id)) continue;
      if (own.has(id)) throw new Error(`${id} is there twice`);
      const text = `${Name} ${IP}:${PublicPort} [${Tags.join('|')}]`;
      own.set(id, session === NOBODYS_SESSION ? `${text} of no session` : text);
    }
    return own;
  }

  async foreign(): Promise<Map<number, number>> {
    const nodes = await this.#nodes();
    return portsByNumber(this.#foreignPaths().map((path) => nodes.get(path)?.body.PublicPort));
  }

  #foreignPaths(): string[] {
    return [1, 2, 3].map((number) => `${this.#path}/web/10.0.0.${number}:80`);
  }

  async #nodes(): Promise<Map<string, { readonly body: Body; readonly session: string }>> {
    const nodes = new Map<string, { readonly body: Body; readonly session: string }>();
    for (const name of await this.#children(this.#path)) {
      for (const node of await this.#children(`${this.#path}/${name}`)) {
        const path = `${this.#path}/${name}/${node}`;
        const read = await this.#client.read(path).catch(() => undefined);
        if (read !== undefined) nodes.set(path, { body: JSON.parse(read.text), session: read.session });
      }
    }
    return nodes;
  }

  async #children(path: string): Promise<readonly string[]> {
    return (await this.#client.children(path).catch(() => undefined)) ?? [];
  }
}
