import zookeeper from 'node-zookeeper-client';
import pMap from 'p-map';
import * as v from 'valibot';
import { asError } from '../../lib/as-error.ts';
import { parsed } from '../../lib/checked.ts';
import { type HostPort, hostPort, parseHostPort } from '../../lib/host-port.ts';
import { retryingAfterRaces } from '../../lib/retrying-after-races.ts';
import { shortId } from '../../lib/short-id.ts';
import type { Service } from '../../services/index.ts';
import {
  each,
  encodeSegment,
  Findings,
  type Held,
  holderOf,
  markIn,
  ownerMark,
  ownership,
  withoutMark,
} from '../kit/index.ts';
import type { RegistryContext } from '../registry.ts';
import { ConflictError, type Entry, type Others, type Owner, RefusedError, type Registry } from '../registry.ts';
import { ZooKeeperError, ZooKeeperSession } from './session.ts';

const { NO_NODE, NODE_EXISTS, NOT_EMPTY, BAD_VERSION, NO_AUTH, BAD_ARGUMENTS, NO_CHILDREN_FOR_EPHEMERALS } =
  zookeeper.Exception;
const QUOTA_EXCEEDED = -125;
const { EPHEMERAL, PERSISTENT } = zookeeper.CreateMode;

/** Milliseconds, without `--ttl`: as gliderlabs/registrator has it. */
const SESSION_TIMEOUT_MS = 10_000;
/** The protocol has time-outs in 32 bits; servers cut them to 20 of their ticks anyway. */
const MAX_INT = 2 ** 31 - 1;
/** Calls under way at once of one reading or batch. */
const CONCURRENCY = 32;
/** Bytes of one node; servers close the connection at 1 MiB a request (`jute.maxbuffer`). */
const NODE_BYTES = 512 * 1024;
/** Looks at a node that changes under our hands. */
const TRIES = 5;
/** The service's ID, beside the owner mark in `Attrs`: the path does not hold it. */
const ID_KEY = 'registrator-id';

/**
 * `zookeeper://h1,h2:2181/path`: ephemeral nodes `<path>/<name>/<address>:<port>[:udp|:sctp]` in the layout of gliderlabs/registrator,
 * of a session with `--ttl` as its time-out. They outlive registrator by that time-out, in which the next one takes them over.
 */
export async function zooKeeper(uri: string, context: RegistryContext): Promise<Registry> {
  const { hosts, path } = parseZooKeeperUri(uri);
  const session = new ZooKeeperSession(hosts, Math.min((context.ttl ?? 0) * 1_000 || SESSION_TIMEOUT_MS, MAX_INT));
  const name = `zookeeper://${hosts.map(({ host, port }) => hostPort(host, port)).join(',')}${path}`;
  return new ZooKeeper(session, name, path === '/' ? '' : path, context.owner);
}

/** Throws an Error with one sentence. Pure; exported for tests. `path` begins with a slash, and ends with none but `/`. */
export function parseZooKeeperUri(uri: string): { readonly hosts: readonly HostPort[]; readonly path: string } {
  const [, authority = '', rest = ''] = /^zookeeper:(?:\/\/)?([^/]*)(.*)$/is.exec(uri) ?? [];
  if (authority.includes('@'))
    throw new Error('The ZooKeeper URI holds a user: registrator knows no ZooKeeper authentication; leave it out.');
  const hosts = authority.split(',').map((text) => {
    const { host = '', port = 2181 } = parseHostPort(text) ?? {};
    if (host === '' || port === 0)
      throw new Error('The ZooKeeper URI must be zookeeper://host[:port][,host[:port]…]/path.');
    return { host, port };
  });
  const path = decoded(rest).replace(/^\/+|\/+$/g, '');
  // What encodeSegment would change in a part (but for the percent sign) is what ZooKeeper does not take.
  const isLegal = (part: string) =>
    part !== '' && encodeSegment(part.replaceAll('%', '_')) === part.replaceAll('%', '_');
  if (path !== '' && !path.split('/').every(isLegal))
    throw new Error('The path in the ZooKeeper URI has a part that ZooKeeper does not take: empty, ".", or "..".');
  return { hosts, path: `/${path}` };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new Error('The path in the ZooKeeper URI has a percent sign that encodes nothing: write it as %25.');
  }
}

/** What a node holds (gliderlabs/registrator: `ZnodeBody`). */
interface Body {
  readonly Name: string;
  readonly IP: string;
  readonly PublicPort: number;
  readonly PrivatePort: number;
  readonly ContainerID: string;
  readonly Tags?: readonly string[] | null | undefined;
  readonly Attrs: Readonly<Record<string, string>>;
}

const BODY = v.object({
  Name: v.string(),
  IP: v.string(),
  PublicPort: v.number(),
  PrivatePort: v.number(),
  ContainerID: v.string(),
  Tags: v.nullish(v.array(v.string())),
  Attrs: v.nullish(v.record(v.string(), v.unknown())),
});

interface ZNode {
  readonly text: string;
  /** The session of an ephemeral node; empty for a persistent one. */
  readonly session: string;
  readonly version: number;
}

class ZooKeeper implements Registry {
  readonly name: string;
  readonly batchSize = CONCURRENCY;
  readonly #session: ZooKeeperSession;
  /** Empty for the root. */
  readonly #path: string;
  readonly #owner: Owner;
  #findings: Findings;

  constructor(session: ZooKeeperSession, name: string, path: string, owner: Owner) {
    this.#session = session;
    this.name = name;
    this.#path = path;
    this.#owner = owner;
    this.#findings = new Findings(owner);
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#session.connect(signal);
  }

  entry(service: Service): Entry {
    return {
      key: `${this.#path}/${encodeSegment(service.name)}/${encodeSegment(endpoint(service))}`,
      content: JSON.stringify(body(service, this.#owner)),
      id: service.id,
      name: service.name,
      address: service.address,
      port: service.port,
    };
  }

  register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    return each(
      services.map((service) => this.entry(service)),
      keyOf,
      CONCURRENCY,
      ({ key, content }) => this.#write(key, Buffer.from(content), signal),
    );
  }

  async deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    try {
      await each(entries, keyOf, CONCURRENCY, ({ key }) => this.#retried(key, signal, () => this.#remove(key, signal)));
    } finally {
      // ZooKeeper itself sees to it that no parent goes that another host has just put a node into.
      await pMap(
        new Set(entries.map(({ key }) => parentOf(key))),
        async (parent) => {
          await this.#session
            .call<void>(signal, (client, done) => client.remove(parent, done))
            .catch(unless(NOT_EMPTY, NO_NODE, NO_AUTH));
        },
        { concurrency: CONCURRENCY },
      );
    }
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const services = await this.#children(this.#path || '/', signal);
    const keys: string[] = [];
    await pMap(
      services,
      async (service) => {
        const parent = `${this.#path}/${service}`;
        for (const child of await this.#children(parent, signal)) {
          if (/:\d{1,5}(:udp|:sctp)?$/.test(child)) keys.push(`${parent}/${child}`);
        }
      },
      { concurrency: CONCURRENCY },
    );
    const findings = new Findings(this.#owner);
    await pMap(
      keys,
      async (key) => {
        const node = await this.#read(key, signal).catch(unless(NO_AUTH));
        if (node !== undefined) findings.add(this.#asEntry(key, node), heldIn(node));
      },
      { concurrency: CONCURRENCY },
    );
    this.#findings = findings;
    return findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  lost(signal: AbortSignal): Promise<string> {
    return this.#session.lost(signal);
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  #asEntry(key: string, node: ZNode): Entry {
    const { Name: name = '', IP: address = '', PublicPort: port = 0, Attrs } = parseBody(node.text) ?? {};
    // The node of another session, that of the process before this one, ends with it: it has to be written anew.
    const passing = node.session === this.#session.id ? '' : '\nby another session';
    return { key, content: `${node.text}${passing}`, id: Attrs?.[ID_KEY] ?? '', name, address, port };
  }

  /** @throws ConflictError */
  #expectOwn(key: string, node: ZNode, wanted?: string): void {
    const held = heldIn(node, wanted);
    if (ownership(this.#owner, held) !== 'own') throw new ConflictError(`The node ${key} in ZooKeeper`, holderOf(held));
  }

  async #write(key: string, data: Buffer, signal: AbortSignal): Promise<void> {
    if (data.length > NODE_BYTES)
      throw new RefusedError(`Its labels come to ${data.length} bytes; ZooKeeper takes ${NODE_BYTES} of them.`);
    await this.#retried(key, signal, () => this.#writeOnce(key, data, signal));
  }

  /** Between two looks another host removed the parent that was empty, or somebody wrote or removed the node. */
  async #retried(key: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const isRace = (error: unknown) => [NO_NODE, NODE_EXISTS, BAD_VERSION].includes(code(error));
    await retryingAfterRaces(TRIES, signal, work, isRace).catch((error: unknown) => {
      const refusal = refusalOf(code(error), parentOf(key));
      throw refusal === undefined ? error : new RefusedError(refusal);
    });
  }

  async #remove(key: string, signal: AbortSignal): Promise<void> {
    const node = await this.#read(key, signal);
    if (node === undefined) return;
    this.#expectOwn(key, node);
    await this.#session
      .call<void>(signal, (client, done) => client.remove(key, exactly(node.version), done))
      .catch(unless(NO_NODE));
  }

  async #writeOnce(key: string, data: Buffer, signal: AbortSignal): Promise<void> {
    const create = () =>
      this.#session.call<string>(signal, (client, done) => client.create(key, data, EPHEMERAL, done));
    const failure = await create().then(() => undefined, asError);
    if (failure === undefined) return;
    if (code(failure) === NO_NODE) {
      await this.#makeFolder(parentOf(key), signal);
      await create();
      return;
    }
    if (code(failure) !== NODE_EXISTS) throw failure;
    const node = await this.#read(key, signal);
    if (node === undefined) throw failure;
    this.#expectOwn(key, node, data.toString());
    if (node.session === this.#session.id && data.equals(Buffer.from(node.text))) return;
    await this.#session.call<unknown>(signal, (client, done) =>
      client.transaction().remove(key, exactly(node.version)).create(key, data, EPHEMERAL).commit(done),
    );
  }

  async #makeFolder(path: string, signal: AbortSignal): Promise<void> {
    const create = () =>
      this.#session.call<string>(signal, (client, done) => client.create(path, Buffer.alloc(0), PERSISTENT, done));
    const failure = await create().then(() => undefined, asError);
    if (failure === undefined || code(failure) === NODE_EXISTS) return;
    if (code(failure) !== NO_NODE || parentOf(path) === '') throw failure;
    await this.#makeFolder(parentOf(path), signal);
    await create().catch(unless(NODE_EXISTS));
  }

  async #read(key: string, signal: AbortSignal): Promise<ZNode | undefined> {
    return this.#session
      .call<ZNode>(signal, (client, done) =>
        client.getData(key, (error, data, stat) => {
          const session = stat?.ephemeralOwner.toString('hex') ?? '';
          const version = stat?.version ?? 0;
          done(error, { text: data?.toString() ?? '', session: /^0*$/.test(session) ? '' : session, version });
        }),
      )
      .catch(unless(NO_NODE));
  }

  async #children(path: string, signal: AbortSignal): Promise<readonly string[]> {
    const names = this.#session.call<string[]>(signal, (client, done) => client.getChildren(path, done));
    return (await names.catch(unless(NO_NODE, NO_AUTH))) ?? [];
  }
}

/** A port number may be one of TCP and one of UDP. */
const endpoint = ({ address, port, protocol }: Service) =>
  `${address}:${port}${protocol === 'tcp' ? '' : `:${protocol}`}`;

function body(service: Service, owner: Owner): Body {
  const meta = Object.entries(service.meta).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    Name: service.name,
    IP: service.address,
    PublicPort: service.port,
    PrivatePort: service.origin.exposedPort,
    // The container's host name, which Docker makes of its ID unless told otherwise.
    ContainerID: shortId(service.origin.containerId),
    Tags: service.tags,
    Attrs: { ...Object.fromEntries(meta), ...ownerMark(owner), [ID_KEY]: service.id },
  };
}

/** @param wanted what this host would write at the node */
function heldIn({ text }: ZNode, wanted?: string): Held {
  const found = parseBody(text);
  if (found === undefined) return { id: '', address: '', mark: undefined };
  const isWanted = wanted !== undefined && says(found) === says(parseBody(wanted));
  return { id: found.Attrs[ID_KEY] ?? '', address: found.IP, mark: markIn(found.Attrs), isWanted };
}

/** The body without what only registrator adds to it. gliderlabs/registrator writes `null` for no tags. */
function says(body: Body | undefined): string {
  if (body === undefined) return '';
  const { Name, IP, PublicPort, PrivatePort, ContainerID, Tags, Attrs } = body;
  const attrs = Object.entries(withoutMark(Attrs)).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([Name, IP, PublicPort, PrivatePort, ContainerID, Tags ?? [], attrs]);
}

/** The client takes 0 for no version at all, and sends of this one the whole part, which is 0. */
const exactly = (version: number) => version || Number.MIN_VALUE;

/** Undefined for what registrator cannot have written. */
function parseBody(text: string): Body | undefined {
  const found = parsed(BODY, text);
  if (found === undefined) return undefined;
  const attrs = Object.entries(found.Attrs ?? {}).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  );
  return { ...found, Attrs: Object.fromEntries(attrs) };
}

/** Answers that stay the same until somebody changes something. */
function refusalOf(answer: number, parent: string): string | undefined {
  switch (answer) {
    case NO_AUTH:
      return `ZooKeeper says NO_AUTH: give the world the rights to create, read and delete nodes in ${parent}.`;
    case QUOTA_EXCEEDED:
      return `ZooKeeper says that the quota is exceeded: raise it for ${parent}.`;
    case NO_CHILDREN_FOR_EPHEMERALS:
      return `${parent} or a node above it is ephemeral, and ZooKeeper gives such nodes no children: remove it.`;
    case BAD_ARGUMENTS:
      return `ZooKeeper does not take a node of this name in ${parent}.`;
    default:
      return undefined;
  }
}

const keyOf = ({ key }: Entry) => key;
const parentOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

function code(error: unknown): number {
  if (error instanceof ZooKeeperError) return error.code;
  throw error;
}

/** For `catch`: undefined in place of these answers. */
function unless(...codes: readonly number[]): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof ZooKeeperError) || !codes.includes(error.code)) throw error;
    return undefined;
  };
}
