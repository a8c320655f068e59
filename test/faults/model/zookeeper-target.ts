import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import type { ZooKeeperServer } from '../../support/zookeeper.ts';
import type { NodeRead, ZooKeeperClient } from '../../support/zookeeper-client.ts';
import { HOST_IP } from './host.ts';
import { Remote, stampsBySlot, type Target } from './targets.ts';

interface Body {
  readonly Name: string;
  readonly IP: string;
  readonly PublicPort: number;
  readonly ContainerID?: string;
  readonly Tags?: readonly string[];
  readonly Attrs?: Readonly<Record<string, string>>;
}

/** Stands in everything that `putForeign` writes, where no registrator looks for a mark. */
const FOREIGN = 'somebody else';

const NOBODYS_SESSION = '0000000000000000';

/** Where an ID is no part of the key, it may be there several times: what the model expects of it is not comparable. */
const isShared = (id: string) => id.startsWith('shared-');

/** ZooKeeper, below a path of the sequence's own. */
export class ZooKeeperTarget extends Remote implements Target {
  readonly keyedByAddress = true;
  readonly #client: ZooKeeperClient;
  readonly #address: string;

  /** @param client sees the server without the proxy between */
  constructor(server: ZooKeeperServer, client: ZooKeeperClient, listen: number, host: string) {
    super(server.port, listen, host);
    this.#client = client;
    this.#address = server.address;
  }

  get #path(): string {
    return `/${this.host}`;
  }

  openBeside(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('zookeeper', this.#path, owner, log, {}, this.#address);
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('zookeeper', this.#path, owner, log);
  }

  async empty(): Promise<void> {
    for (const path of (await this.#nodes()).keys()) await this.#client.remove(path).catch(() => undefined);
    this.proxy.cut();
  }

  async putForeign(slot: number, PublicPort: number): Promise<void> {
    const path = this.#foreignPaths()[slot] ?? '';
    // An operator's own, another host's, and that of a host whose name begins like ours.
    const mark = { 'registrator-host': slot === 1 ? 'another' : `${this.host}-2`, 'registrator-engine': 'another' };
    const marked = slot === 1 || slot === 2 ? { Attrs: mark } : {};
    const body: Body = { Name: 'web', IP: '10.0.0.1', PublicPort, ContainerID: FOREIGN, ...marked };
    // One that no registrator can read, and one that goes with its writer, as older registrators have them.
    const text = slot === 4 ? `${FOREIGN} ${PublicPort}` : JSON.stringify(body);
    // Registrator may remove the folder meanwhile, which its own last node has left empty.
    await eventuallyPasses(
      async () => {
        for (const folder of [this.#path, `${this.#path}/web`])
          await this.#client.create(folder, '', 'PERSISTENT').catch(() => undefined);
        await this.#client.remove(path).catch(() => undefined);
        await this.#client.create(path, text, slot === 5 ? 'EPHEMERAL' : 'PERSISTENT');
      },
      { everyMs: 5 },
    );
  }

  async removeForeign(slot: number): Promise<void> {
    await this.#client.remove(this.#foreignPaths()[slot] ?? '');
  }

  slotOf(_id: string, text: string): number {
    const [, name, at] = /^(\S+) (\S+) /.exec(text) ?? [];
    return this.#foreignPaths().indexOf(`${this.#path}/${name}/${at}`);
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
    const own = new Map<string, string>();
    for (const [path, { text: stored, session }] of await this.#nodes()) {
      if (stored.includes(FOREIGN)) continue;
      const { Name, IP, PublicPort, Tags = [], Attrs = {} } = JSON.parse(stored) as Body;
      const id = Attrs['registrator-id'] ?? path;
      if (isShared(id)) continue;
      if (own.has(id)) throw new Error(`${id} is there twice`);
      const text = `${Name} ${IP}:${PublicPort} [${Tags.join('|')}]`;
      own.set(id, session === NOBODYS_SESSION ? `${text} of no session` : text);
    }
    return own;
  }

  async foreign(): Promise<Map<number, string>> {
    const nodes = await this.#nodes();
    return stampsBySlot(
      this.#foreignPaths().map((path) => {
        const node = nodes.get(path);
        return node?.text.includes(FOREIGN) === true ? JSON.stringify(node) : undefined;
      }),
    );
  }

  /** Three that no container of ours is at, and three of the first ports that the model publishes. */
  #foreignPaths(): string[] {
    const others = [1, 2, 3].map((number) => `10.0.0.${number}:80`);
    return [...others, ...[1, 2, 4].map((number) => `${HOST_IP}:${20_000 + number}`)].map(
      (at) => `${this.#path}/web/${at}`,
    );
  }

  async #nodes(): Promise<Map<string, NodeRead>> {
    const nodes = new Map<string, NodeRead>();
    for (const name of await this.#children(this.#path)) {
      for (const node of await this.#children(`${this.#path}/${name}`)) {
        const path = `${this.#path}/${name}/${node}`;
        const read = await this.#client.read(path).catch(() => undefined);
        if (read !== undefined) nodes.set(path, read);
      }
    }
    return nodes;
  }

  async #children(path: string): Promise<readonly string[]> {
    return (await this.#client.children(path).catch(() => undefined)) ?? [];
  }
}
