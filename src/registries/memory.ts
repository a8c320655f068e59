import { isIP } from 'node:net';
import { setImmediate as breath } from 'node:timers/promises';
import { AddressInUseError, Catalogue, contentOf, type Store } from '../catalogue/index.ts';
import { batches } from '../lib/batches.ts';
import { compact } from '../lib/compact.ts';
import { hostPort, parseHostPort, portNumber } from '../lib/host-port.ts';
import type { Service } from '../services/index.ts';
import type { RegistryContext } from './registry.ts';

import { type Entry, type Registry, UnusableError } from './registry.ts';

/** `memory://[bind][:port][?dns=PORT]`: the embedded catalogue, inside this process. */
export async function memory(uri: string, context: MemoryContext): Promise<Registry> {
  return new Memory(parseMemoryUri(uri), context);
}

type MemoryContext = Pick<RegistryContext, 'owner' | 'hostAddress' | 'log' | 'routes' | 'surroundings' | 'catalogue'>;

export interface MemoryAddress {
  readonly host: string;
  readonly httpPort: number;
  /** Absent with `?dns=off`. */
  readonly dnsPort?: number;
}

const DEFAULT = { host: '127.0.0.1', http: 8500, dns: 8600 };

/** Pure. Port 0 means any free one. Throws an Error with one sentence when the URI is wrong. */
export function parseMemoryUri(uri: string): MemoryAddress {
  const [, rest, question = ''] = /^memory:(?:\/\/)?([^?#]*)(?:\?([^#]*))?$/i.exec(uri) ?? [];
  if (rest === undefined) {
    throw new Error('A memory:// URI is memory://[address][:port][?dns=port], and nothing else.');
  }
  const authority = rest.replace(/\/$/, '');
  if (authority.includes('/')) {
    throw new Error('A memory:// URI has no path: write memory://[address][:port][?dns=port].');
  }
  const { host: named, port: httpPort = DEFAULT.http } = parseHostPort(authority) ?? {};
  if (named === undefined) {
    throw new Error(
      'The address in the memory:// URI is no host:port with a port up to 65535; an IPv6 address stands in brackets, as in memory://[::1]:8500.',
    );
  }
  // The name may stand for two addresses, of which UDP and TCP would take one each.
  const host = ['', 'localhost'].includes(named.toLowerCase()) ? DEFAULT.host : named;
  if (isIP(host) === 0) {
    throw new Error(`The memory:// URI names no address to listen on: write an IP address, as in memory://0.0.0.0.`);
  }
  const dnsPort = dnsPortOf(question);
  return dnsPort === undefined ? { host, httpPort } : { host, httpPort, dnsPort };
}

function dnsPortOf(question: string): number | undefined {
  const parameters = new URLSearchParams(question);
  for (const key of parameters.keys()) {
    if (key !== 'dns') {
      throw new Error(`The memory:// URI has an unknown parameter "${key.slice(0, 40)}": there is only dns.`);
    }
  }
  const [dns, ...more] = parameters.getAll('dns');
  if (more.length > 0) throw new Error('The memory:// URI has more than one dns parameter.');
  if (dns === undefined) return DEFAULT.dns;
  if (dns === 'off') return undefined;
  const port = dns === '0' ? 0 : portNumber(dns);
  if (port === undefined) throw new Error('dns in the memory:// URI must be a number from 1 to 65535, or off.');
  return port;
}

/** Services that are put in one go: each wakes watchers and starts checks, and others wait meanwhile. */
const AT_ONCE = 50;

class Memory implements Registry {
  readonly name: string;
  readonly dnsName?: (serviceName: string) => string | undefined;
  readonly showsHealth = true;
  readonly batchSize = 1000;
  readonly #catalogue: Catalogue;
  #started: Promise<void> | undefined;

  constructor(
    { host, httpPort, dnsPort }: MemoryAddress,
    { owner, hostAddress, log, routes = [], surroundings, catalogue }: MemoryContext,
  ) {
    this.name = `memory://${hostPort(host, httpPort)}`;
    this.#catalogue = new Catalogue(
      compact({
        ...catalogue,
        nodeName: owner.host,
        nodeAddress: hostAddress,
        http: { host, port: httpPort },
        dns: dnsPort === undefined ? undefined : { host, port: dnsPort },
        routes,
        surroundings,
        log,
      }),
    );
    if (dnsPort !== undefined) this.dnsName = (serviceName) => this.#catalogue.dnsName(serviceName);
  }

  get #store(): Store {
    return this.#catalogue.store;
  }

  /** @throws UnusableError when it cannot have its ports */
  async connect(): Promise<void> {
    this.#started ??= this.#catalogue.start();
    await this.#started.catch((error: unknown) => {
      this.#started = undefined;
      throw error instanceof AddressInUseError ? new UnusableError(error.message) : error;
    });
  }

  entry(service: Service): Entry {
    return compact({
      key: service.id,
      // Where it comes from is no part of what Consul's API shows, but the catalogue knows it, and keeps it true.
      content: `${contentOf(service)} ${JSON.stringify(service.origin)}`,
      id: service.id,
      name: service.name,
      address: service.address,
      port: service.port,
      health: service.health?.status,
    });
  }

  async register(services: readonly Service[]): Promise<void> {
    for (const some of batches(services, AT_ONCE)) {
      for (const service of some) this.#store.put(service);
      await breath();
    }
  }

  async deregister(entries: readonly Entry[]): Promise<void> {
    for (const some of batches(entries, AT_ONCE)) {
      for (const { id } of some) this.#store.remove(id);
      await breath();
    }
  }

  async registered(): Promise<readonly Entry[]> {
    const held = this.#store.all().map(({ service, fromSnapshot }) => {
      const entry = this.entry(service);
      // What Docker did not confirm yet is not right yet: it is to be registered again, or removed.
      return fromSnapshot ? { ...entry, content: 'from the snapshot' } : entry;
    });
    // A service that took itself out of the catalogue (a check's deregister-after) counts as registered, or it would be put
    // back at once. When its container restarts, the entry's content differs, and it is registered again.
    return [...held, ...this.#store.withdrawn().map((service) => this.entry(service))];
  }

  async refresh(services: readonly Service[]): Promise<void> {
    for (const { id, health } of services) this.#store.setHealth(id, health);
  }

  setWhole(whole: boolean): void {
    this.#catalogue.setWhole(whole);
  }

  hostMoved(address: string): void {
    this.#store.moveNode(address);
  }

  async close(): Promise<void> {
    await this.#catalogue.stop();
  }
}
