import type { Service } from '../../services/index.ts';
import { Findings, firstLoss, inBatches } from '../kit/index.ts';
import type { Entry, Others, Owner, Registry, RegistryContext } from '../registry.ts';
import { EtcdClient, EtcdRefusal, type KeyValue, PERMISSION_DENIED } from './client.ts';
import { EtcdEndpoints } from './endpoints.ts';
import {
  claimValue,
  findings,
  KEPT_ALIVE,
  knownBy,
  type Layout,
  plainLayout,
  type Stored,
  showsOwner,
} from './layout.ts';
import { EtcdLease } from './lease.ts';
import { type EtcdTarget, etcdTarget } from './uri.ts';
import { CHANGES_AT_ONCE, EtcdWriter, isLeaseGone } from './writer.ts';

/** etcd v3, for `etcd://h1,h2,h3:2379/prefix` and `etcd+tls://`. */
export async function etcd(uri: string, context: RegistryContext): Promise<Registry> {
  const target = await etcdTarget(uri, context.env);
  if (target.query.size > 0) throw new Error(`The URI ${target.name} takes nothing after a question mark.`);
  return etcdV3(target, plainLayout(target.path), context);
}

export function etcdV3(target: EtcdTarget, layout: Layout, context: RegistryContext): Registry {
  return new Etcd(target.name, new EtcdClient(new EtcdEndpoints(target), target.credentials), layout, context);
}

class Etcd implements Registry {
  readonly name: string;
  readonly dnsName?: (serviceName: string) => string;
  readonly batchSize = CHANGES_AT_ONCE;
  readonly #client: EtcdClient;
  readonly #layout: Layout;
  readonly #owner: Owner;
  readonly #writer: EtcdWriter;
  /** Absent without `--ttl`. */
  readonly #lease: EtcdLease | undefined;
  #findings: Findings;

  constructor(name: string, client: EtcdClient, layout: Layout, { owner, ttl, log }: RegistryContext) {
    this.name = name;
    this.#client = client;
    this.#layout = layout;
    if (layout.dnsName !== undefined) this.dnsName = layout.dnsName;
    this.#owner = owner;
    this.#findings = new Findings(owner);
    this.#writer = new EtcdWriter(client, layout, owner, () =>
      log.warn(
        { registry: name },
        `the etcd user may not use ${layout.claims}/, where registrator notes which entries are its own: those whose key does not show this host's name are not cleaned up after a restart until the user's role has readwrite there`,
      ),
    );
    this.#lease = ttl === undefined ? undefined : new EtcdLease(client, ttl);
  }

  async connect(signal: AbortSignal): Promise<void> {
    const { prefix } = this.#layout;
    await this.#client.probe(`${prefix}/`, signal).catch((error: unknown) => {
      if (!(error instanceof EtcdRefusal)) throw error;
      throw new Error(
        error.code === PERMISSION_DENIED
          ? `The etcd user may not read below ${prefix}/: grant its role readwrite there, with etcdctl role grant-permission --prefix=true.`
          : `etcd says «${error.message}».`,
      );
    });
  }

  entry(service: Service): Entry {
    const { id, name, address, port } = service;
    const bound = this.#lease === undefined ? '' : KEPT_ALIVE;
    const content = `${this.#layout.value(service)}${bound}`;
    return { key: this.#layout.key(service), content, id, name, address, port };
  }

  async register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    const changes = services.map((service) => {
      const entry = this.entry(service);
      return { entry, value: this.#layout.value(service), claim: this.#claimFor(entry) };
    });
    const lease = await this.#lease?.id(signal);
    await this.#writer.write(changes, lease, signal).catch(async (error: unknown) => {
      if (lease === undefined || !isLeaseGone(error)) throw error;
      this.#lease?.forget(lease);
      await this.#writer.write(changes, await this.#lease?.id(signal), signal);
    });
  }

  async deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const changes = entries.map((entry) => ({ entry, value: undefined, claim: this.#claimFor(entry) }));
    await this.#writer.write(changes, undefined, signal);
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const [pairs, claims] = await Promise.all([
      this.#client.list(`${this.#layout.prefix}/`, signal),
      this.#writer.listClaims(signal),
    ]);
    const stored = pairs.map((pair): Stored => ({ key: pair.key, value: pair.value, bound: this.#boundText(pair) }));
    this.#findings = findings(this.#layout, this.#owner, stored, claims, this.#writer.written);
    this.#writer.know(knownBy(this.#findings, stored));
    return this.#findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  /** Keeps the lease alive; where it is gone, and its keys with it, they are written anew under another one. */
  async refresh(services: readonly Service[], signal: AbortSignal): Promise<void> {
    if (this.#lease === undefined || services.length === 0) return;
    await this.#lease.renew(signal);
    const lease = await this.#lease.id(signal);
    const unbound = services.filter((service) => this.#writer.leaseOf(this.#layout.key(service)) !== lease);
    await inBatches(unbound, this.batchSize, (batch) => this.register(batch, signal));
  }

  lost(signal: AbortSignal): Promise<string> {
    return firstLoss([this.#client, ...(this.#lease ? [this.#lease] : [])], signal);
  }

  async close(): Promise<void> {
    this.#lease?.close();
    this.#client.close();
  }

  /** How long the key will be: `entry` says the same of one that is as it should be. */
  #boundText({ lease }: KeyValue): string {
    if (lease === '0') return '';
    // The lease of the process before this one is not kept alive any more: what hangs on it has to be taken over.
    return lease === this.#lease?.present ? KEPT_ALIVE : ' (bound to another lease)';
  }

  #claimFor(entry: Entry): string | undefined {
    return showsOwner(this.#layout, this.#owner, entry.key) ? undefined : claimValue(this.#owner, entry);
  }
}
