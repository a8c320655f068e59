import { BindServer } from './bind.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { ConsulServer } from './consul.ts';
import { EtcdServer } from './etcd.ts';
import { rfc2136Place, zoneOf } from './rfc2136-place.ts';
import { ZooKeeperServer } from './zookeeper.ts';
import { ZooKeeperClient } from './zookeeper-client.ts';

/** What a registry holds of one service. */
export interface Seen {
  readonly name: string;
  readonly id: string;
  readonly address: string;
  readonly port: number;
  /** Of the container, as its host name has it. */
  readonly containerId?: string;
}

/** A key as the server has it. */
interface Pair {
  readonly key: string;
  readonly value: string;
  /** Changes whenever the key is removed and made again, or its value written. */
  readonly stamp: string;
}

/** What somebody else than registrator wrote. */
interface Written {
  /** How `lines` shows it. */
  readonly line: string;
  /** The one who wrote it ends, and with it what ends with its writer. */
  end(): Promise<void>;
}

/**
 * A registry at its real server, with what it holds as the server's own tools have it. A place is a part of it that one
 * test has to itself: a prefix, a path, a domain.
 */
export interface RegistryPlace {
  /** The scheme, and what is special. */
  readonly name: string;
  /** A short `--ttl` that the server takes, in seconds. */
  readonly ttl: number;
  /** Whether what is not refreshed for that long goes. */
  readonly expires: boolean;
  readonly env: Readonly<Record<string, string>>;
  uri(place: string): string;
  /** What `lines` shows of a service that registrator wrote. */
  line(seen: Seen): string;
  /** Sorted; one of each key, so that what is there twice shows. */
  lines(place: string): Promise<string[]>;
  /** By key; see `Pair`. */
  stamps(place: string): Promise<Record<string, string>>;
  /** Every key that has to do with the place, registrator's own notes included. */
  keys(place: string): Promise<string[]>;
  /** Writes as gliderlabs/registrator does. */
  write(place: string, seen: Seen): Promise<Written>;
}

/** Each is a zone of its own at the DNS server, which has to know its zones from the start. */
const PLACES = ['commands', ...Array.from({ length: 20 }, (_, n) => `place${n + 1}`)];

interface Store {
  pairs(root: string): Promise<Pair[]>;
  /** Those outside `root` too. */
  allKeys(): Promise<string[]>;
  put(key: string, value: string): Promise<() => Promise<void>>;
}

interface Layout {
  /** The folder of a place. */
  root(place: string): string;
  /** As gliderlabs/registrator has them. */
  key(place: string, seen: Seen): string;
  value(seen: Seen): string;
  parse(rest: string, value: string): Seen;
  /** An ID as far as the registry shows it. */
  shown(id: string): string;
}

/** Servers of every registry that lives outside registrator. */
export class RegistryServers implements AsyncDisposable {
  readonly consul = new ConsulServer();
  readonly etcd = new EtcdServer();
  readonly etcdWithAuth = new EtcdServer({ authTokenTtl: 2 });
  readonly zookeeper = new ZooKeeperServer();
  readonly bind = new BindServer(PLACES.map(zoneOf));
  readonly password = 'pa55-w0rd/of@app';
  #etcdWithTls: EtcdServer | undefined;
  #certificates: Certificates | undefined;
  #places: readonly RegistryPlace[] = [];

  async start(): Promise<this> {
    this.#certificates = await makeCertificates();
    this.#etcdWithTls = new EtcdServer({ tls: this.#certificates });
    await Promise.all(this.#all().map((server) => server.start()));
    await this.#enableAuth();
    this.#places = this.#makePlaces(this.#etcdWithTls, this.#certificates);
    return this;
  }

  get places(): readonly RegistryPlace[] {
    return this.#places;
  }

  /** All of them at once, each with all that it held gone. */
  async loseData(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.restart({ emptyData: true })));
    await this.#enableAuth();
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#all().map((server) => server.dispose()));
    await this.#certificates?.[Symbol.asyncDispose]();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #all() {
    const servers = [this.consul, this.etcd, this.etcdWithAuth, this.zookeeper, this.bind];
    return this.#etcdWithTls === undefined ? servers : [...servers, this.#etcdWithTls];
  }

  /** The rights that the documentation says are needed, and no more. */
  async #enableAuth(): Promise<void> {
    await this.etcdWithAuth.enableAuth('root-password', { name: 'app', password: this.password, prefix: '/services/' });
    await this.etcdWithAuth.ctl('role', 'grant-permission', 'app', '--prefix=true', 'readwrite', '/_registrator/');
  }

  #makePlaces(etcdWithTls: EtcdServer, certificates: Certificates): readonly RegistryPlace[] {
    const { consul, etcd, etcdWithAuth, zookeeper: zoo } = this;
    const kv = consulKeys(consul);
    const v3 = etcdKeys(etcd);
    const tls = { ETCD_CACERT: certificates.ca, ETCD_CERT: certificates.clientCert, ETCD_KEY: certificates.clientKey };
    const user = { ETCD_USERNAME: 'app', ETCD_PASSWORD: this.password };
    const folder = (place: string) => `services/${place}`;
    return [
      placeOf('consulkv', 10, (place) => `consulkv://${consul.address}/${folder(place)}`, kv, plain),
      placeOf('consulkv-unix', 10, (place) => `consulkv-unix://${consul.socket}:/unix/${place}`, kv, plainIn('unix')),
      placeOf('etcd', 5, (place) => `etcd://${etcd.address}/${folder(place)}`, v3, plain),
      placeOf(
        'etcd+tls',
        5,
        (place) => `etcd+tls://${etcdWithTls.address}/${folder(place)}`,
        etcdKeys(etcdWithTls),
        plain,
        tls,
      ),
      placeOf(
        'etcd with a user',
        5,
        (place) => `etcd://${etcdWithAuth.address}/${folder(place)}`,
        etcdKeys(etcdWithAuth),
        plain,
        user,
      ),
      placeOf('etcd-legacy', 5, (place) => `etcd-legacy://${etcd.address}/${folder(place)}`, legacyKeys(etcd), plain),
      placeOf('skydns2', 5, (place) => `skydns2://${etcd.address}/${place}.example`, legacyKeys(etcd), skydns),
      placeOf('coredns', 5, (place) => `coredns://${etcd.address}/${place}.example`, v3, skydns),
      placeOf('zookeeper', 5, (place) => `zookeeper://${zoo.address}/${folder(place)}`, zooKeeperNodes(zoo), znodes),
      rfc2136Place(this.bind),
    ];
  }
}

function placeOf(
  name: string,
  ttl: number,
  uri: (place: string) => string,
  store: Store,
  layout: Layout,
  env: Readonly<Record<string, string>> = {},
): RegistryPlace {
  const text = ({ name, id, address, port }: Seen) => `${name}/${id} ${address}:${port}`;
  const pairs = async (place: string) => {
    const root = `${layout.root(place)}/`;
    return (await store.pairs(root)).map((pair) => ({ ...pair, rest: pair.key.slice(root.length) }));
  };
  return {
    name,
    ttl,
    expires: true,
    env,
    uri,
    line: (seen) => text({ ...seen, id: layout.shown(seen.id) }),
    lines: async (place) => (await pairs(place)).map(({ rest, value }) => text(layout.parse(rest, value))).sort(),
    stamps: async (place) => Object.fromEntries((await pairs(place)).map(({ key, stamp }) => [key, stamp])),
    keys: async (place) => {
      const keys = [...(await pairs(place)).map(({ key }) => key), ...(await store.allKeys())];
      return [...new Set(keys)].filter((key) => new RegExp(`\\b${place}\\b`).test(decodeURIComponent(key)));
    },
    write: async (place, seen) => {
      const key = layout.key(place, seen);
      const end = await store.put(key, layout.value(seen));
      const rest = key.slice(layout.root(place).length + 1);
      return { line: text(layout.parse(rest, layout.value(seen))), end };
    },
  };
}

/** `<prefix>/<name>/<id>` = `<address>:<port>`. */
const plainIn = (folder: string): Layout => ({
  root: (place) => `/${folder}/${place}`,
  key: (place, { name, id }) => `/${folder}/${place}/${name}/${id}`,
  value: ({ address, port }) => `${address}:${port}`,
  parse: (rest, value) => {
    const [name = '', ...id] = rest.split('/');
    const [address = '', port] = value.split(':');
    return { name, id: id.join('/'), address, port: Number(port) };
  },
  shown: (id) => id,
});
const plain = plainIn('services');

/** `/skydns/<reversed domain>/<name>/<label>` = `{"host":…,"port":…}`; of the ID, what is legible in the label shows. */
const skydns: Layout = {
  root: (place) => `/skydns/example/${place}`,
  key: (place, { name, id }) => `/skydns/example/${place}/${name}/${id}`,
  value: ({ address, port }) => `{"host":"${address}","port":${port}}`,
  parse: (rest, value) => {
    const [name = '', label = ''] = rest.split('/');
    const { host = '', port = 0 } = JSON.parse(value) as { host?: string; port?: number };
    return { name, id: skydns.shown(label.replace(/-[0-9a-f]{8}$/, '')), address: host, port };
  },
  shown: (id) => id.toLowerCase().replace(/[^a-z0-9]+/g, '-'),
};

/** `<path>/<name>/<address>:<port>` = JSON. */
const znodes: Layout = {
  root: plain.root,
  key: (place, { name, address, port }) => `${znodes.root(place)}/${name}/${address}:${port}`,
  value: ({ name, address, port, containerId = '0123456789ab' }) =>
    JSON.stringify({
      Name: name,
      IP: address,
      PublicPort: port,
      PrivatePort: 6379,
      ContainerID: containerId,
      Tags: [],
      Attrs: {},
    }),
  parse: (rest, value) => {
    const [name = '', at = ''] = rest.split('/');
    const node = JSON.parse(value) as { IP: string; PublicPort: number; Attrs: Record<string, string> };
    const { IP: address, PublicPort: port } = node;
    if (at !== `${address}:${port}`) throw new Error(`the node ${rest} holds ${value}`);
    return { name, id: node.Attrs['registrator-id'] ?? '', address, port };
  },
  shown: (id) => id,
};

const nothing = async () => {};

function consulKeys(server: ConsulServer): Store {
  interface KvPair {
    readonly Key: string;
    readonly Value: string;
    readonly CreateIndex: number;
    readonly ModifyIndex: number;
  }
  const list = async (prefix: string) => {
    const absent = (error: Error) => {
      if (!error.message.includes(' 404')) throw error;
      return [];
    };
    return server.api<KvPair[]>('GET', `/v1/kv/${prefix}?recurse`).catch(absent);
  };
  return {
    pairs: async (root) =>
      (await list(root.slice(1))).map(({ Key, Value, CreateIndex, ModifyIndex }) => ({
        key: `/${Key}`,
        value: Buffer.from(Value, 'base64').toString(),
        stamp: `${CreateIndex} ${ModifyIndex}`,
      })),
    allKeys: async () => (await list('')).map(({ Key }) => Key),
    put: async (key, value) => {
      const KV = { Verb: 'set', Key: key.slice(1), Value: Buffer.from(value).toString('base64') };
      await server.api('PUT', '/v1/txn', [{ KV }]);
      return nothing;
    },
  };
}

function etcdKeys(server: EtcdServer): Store {
  interface Kv {
    readonly key: string;
    readonly value?: string;
    readonly create_revision: number;
    readonly mod_revision: number;
  }
  const list = async (prefix: string) => {
    const answer = JSON.parse(await server.ctl('get', '--prefix', prefix, '-w', 'json')) as { kvs?: Kv[] };
    return (answer.kvs ?? []).map(({ key, value = '', create_revision, mod_revision }) => ({
      key: Buffer.from(key, 'base64').toString(),
      value: Buffer.from(value, 'base64').toString(),
      stamp: `${create_revision} ${mod_revision}`,
    }));
  };
  return {
    pairs: list,
    allKeys: async () => (await list('')).map(({ key }) => key),
    put: async (key, value) => {
      await server.ctl('put', key, value);
      return nothing;
    },
  };
}

/** The v2 keys API. Its modification index also counts a TTL that was extended, which no watcher is told of. */
function legacyKeys(server: EtcdServer): Store {
  interface Node {
    readonly key?: string;
    readonly value?: string;
    readonly nodes?: readonly Node[];
    readonly createdIndex?: number;
  }
  const leaves = ({ key = '', value, nodes = [], createdIndex }: Node): Pair[] =>
    value === undefined ? nodes.flatMap(leaves) : [{ key, value, stamp: String(createdIndex) }];
  const list = async (root: string): Promise<Pair[]> => {
    const answer = await fetch(`http://${server.address}/v2/keys${root}?recursive=true`);
    if (answer.status === 404) return [];
    if (!answer.ok) throw new Error(`etcd answers ${answer.status}`);
    return leaves(((await answer.json()) as { node: Node }).node);
  };
  return {
    pairs: (root) => list(root.replace(/\/$/, '')),
    // Listings have no key that begins with an underscore.
    allKeys: async () =>
      (await Promise.all(['', '/_registrator', '/skydns/_registrator'].map(list))).flat().map(({ key }) => key),
    put: async (key, value) => {
      const body = new URLSearchParams({ value });
      const answer = await fetch(`http://${server.address}/v2/keys${key}`, { method: 'PUT', body });
      if (!answer.ok) throw new Error(`etcd answers ${answer.status}`);
      return nothing;
    },
  };
}

/** Read by a new session each time, as one from before would not get over a server that lost its data. */
function zooKeeperNodes(server: ZooKeeperServer): Store {
  const session = () => new ZooKeeperClient(server.address).connect();
  const walk = async (client: ZooKeeperClient, path: string): Promise<Pair[]> => {
    const names = await client.children(path).catch(() => []);
    const below = await Promise.all((names ?? []).map((name) => walk(client, `${path}/${name}`)));
    const node = await client.read(path).catch(() => undefined);
    return node === undefined ? [] : [{ key: path, value: node.text, stamp: node.stamp }, ...below.flat()];
  };
  const list = async (root: string) => {
    await using client = await session();
    return (await walk(client, root)).filter(({ key }) => key !== root);
  };
  return {
    // A folder holds nothing.
    pairs: async (root) => (await list(root.replace(/\/$/, ''))).filter(({ value }) => value !== ''),
    allKeys: async () => (await list('/services')).map(({ key }) => key).filter((key) => key.split('/').length > 3),
    put: async (key, value) => {
      const client = await session();
      const parts = key.split('/').slice(1, -1);
      for (const [at] of parts.entries()) {
        await client.create(`/${parts.slice(0, at + 1).join('/')}`, '', 'PERSISTENT').catch(() => {});
      }
      await client.create(key, value, 'EPHEMERAL');
      return async () => client.close();
    },
  };
}
