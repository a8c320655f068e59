import type { Instance, Store } from '../store.ts';
import {
  addressOfHex,
  addressOfReverse,
  canonical,
  hexOfAddress,
  isDnsName,
  isHostName,
  readName,
  serviceReadings,
} from './name.ts';
import type { Answer, DnsRecord, Question } from './wire.ts';

export interface AnswerOptions {
  /** Without dots at its ends. */
  readonly domain: string;
  /** Seconds that addresses may be cached. */
  readonly ttl: number;
  /** The SOA's serial. */
  readonly serial: number;
  /** As Math.random. */
  readonly random: () => number;
}

/** Answers one question from the store, as Consul's DNS interface does. Pure but for `random`. */
export function answer({ labels, type, class: kind }: Question, store: Store, options: AnswerOptions): Answer {
  // Zone transfers are nobody's right here.
  if ((kind !== 'IN' && kind !== 'ANY') || type === 'AXFR' || type === 'IXFR') return REFUSED;
  return new Answerer(store, options).answer(labels, type);
}

const REFUSED: Answer = { rcode: 'REFUSED', authoritative: false, answers: [], authorities: [], additionals: [] };
/** Of an address that we do not know, as Consul says it: a resolver asks its next server, or the one asked of forwards. */
const UNKNOWN_ADDRESS: Answer = { ...REFUSED, rcode: 'SERVFAIL' };

/** Of our own names, until we know them all: a resolver asks again. */
const NOT_YET: Answer = { ...REFUSED, rcode: 'SERVFAIL', authoritative: true };

/** What Consul's servers have their own service under. */
const CONSUL = 'consul';
/** The port of its servers among themselves; nobody listens there. */
const CONSUL_PORT = 8300;
/** The metadata that Consul gives each node; its value is empty outside of Enterprise. */
const NODE_TEXT = 'consul-network-segment=';

class Answerer {
  readonly #store: Store;
  readonly #options: AnswerOptions;

  constructor(store: Store, options: AnswerOptions) {
    this.#store = store;
    this.#options = options;
  }

  answer(labels: readonly string[], type: string): Answer {
    const { domain } = this.#options;
    const asked = readName(labels, domain, this.#store.node.datacenter);
    if (asked === undefined) return this.#reverse(labels, type);
    if (!this.#store.whole) return NOT_YET;
    // As Consul: whatever the name, these are the domain's.
    if (type === 'SOA' || type === 'NS') return this.#authority(type);
    switch (asked.kind) {
      case 'apex':
        return this.#apex(type);
      case 'empty':
        return this.#found([]);
      case 'none':
        return this.#absent();
      case 'node':
        return asked.labels.join('.') === this.#store.node.name.toLowerCase() ? this.#node(type) : this.#absent();
      case 'addr':
        return this.#address(asked.labels, type);
      case 'service':
        return this.#service(asked.labels, type);
    }
  }

  #apex(type: string): Answer {
    if (type !== 'ANY') return this.#found([]);
    const { answers, authorities, additionals } = this.#authority('SOA');
    return { ...this.#found([...answers, ...authorities]), additionals };
  }

  /** Who answers for the domain: this host. */
  #authority(type: 'SOA' | 'NS'): Answer {
    const { name, addresses } = this.#nodeName();
    const { domain, ttl } = this.#options;
    const nameServers: DnsRecord[] = isDnsName(name) ? [{ name: domain, type: 'NS', ttl, data: name }] : [];
    const additionals = nameServers.length === 0 ? [] : addresses;
    if (type === 'NS') return { ...this.#found(nameServers), additionals };
    return { ...this.#found([this.#soa()]), authorities: nameServers, additionals };
  }

  #node(type: string): Answer {
    const text: DnsRecord = { type: 'TXT', ttl: this.#options.ttl, data: NODE_TEXT };
    const addresses = this.#addresses(this.#store.node.address, type);
    if (type === 'TXT') return this.#found([text]);
    if (type === 'ANY') return this.#found([...addresses, text]);
    const beside = type === 'A' || type === 'AAAA';
    return { ...this.#found(addresses), additionals: beside ? [text] : [] };
  }

  #address(labels: readonly string[], type: string): Answer {
    const address = labels.length === 1 ? addressOfHex(labels[0] ?? '') : undefined;
    return address === undefined ? this.#absent() : this.#found(this.#addresses(address, type));
  }

  #service(labels: readonly string[], type: string): Answer {
    for (const { name, tag } of serviceReadings(labels)) {
      const named = this.#store.named(name);
      if (named.length === 0 && name === CONSUL && tag === undefined) return this.#consul(type);
      const instances = named.filter((instance) => tag === undefined || hasTag(instance, tag));
      if (instances.length === 0) continue;
      const healthy = shuffled(
        instances.filter(({ status }) => status !== 'critical'),
        this.#options.random,
      );
      if (healthy.length === 0) return this.#absent();
      return type === 'SRV' ? this.#located(healthy) : this.#found(this.#hosts(healthy, type));
    }
    return this.#hasBelow(labels) ? this.#found([]) : this.#absent();
  }

  /** The service that a Consul server is itself, on this host. */
  #consul(type: string): Answer {
    const { name, addresses } = this.#nodeName();
    if (type !== 'SRV') return this.#found(this.#addresses(this.#store.node.address, type));
    if (!isDnsName(name)) return this.#found([]);
    const data = { priority: 1, weight: 1, port: CONSUL_PORT, target: name };
    return { ...this.#found([{ type: 'SRV', ttl: this.#options.ttl, data }]), additionals: addresses };
  }

  /** Whether a name exists below this one: then it exists too, and "no such name" would deny those below (RFC 8020). */
  #hasBelow(labels: readonly string[]): boolean {
    if (labels.length === 1 && labels[0]?.startsWith('_')) return true;
    const ending = `.${labels.join('.')}`;
    return this.#store.names().some((name) => name.endsWith(ending));
  }

  /** A and AAAA: each address once. A host name is handed out only where there is no address, and then only one. */
  #hosts(instances: readonly Instance[], type: string): DnsRecord[] {
    const addresses = new Map<string, DnsRecord>();
    let alias: DnsRecord | undefined;
    for (const instance of instances) {
      for (const record of this.#addresses(addressOf(instance, this.#store), type)) {
        if (record.type === 'CNAME') alias ??= record;
        else if (typeof record.data === 'string') addresses.set(record.data, record);
      }
    }
    if (addresses.size > 0) return [...addresses.values()];
    return alias === undefined ? [] : [alias];
  }

  /** SRV, with the targets' addresses beside. */
  #located(instances: readonly Instance[]): Answer {
    const answers = new Map<string, DnsRecord>();
    const additionals = new Map<string, DnsRecord>();
    for (const instance of instances) {
      const target = this.#target(instance);
      if (target === undefined) continue;
      const { service, status } = instance;
      const port = clamp(service.port);
      const weight = status === 'warning' ? 1 : clamp(service.weight ?? 1);
      answers.set(`${target.name} ${port}`, {
        type: 'SRV',
        ttl: this.#options.ttl,
        data: { priority: 1, weight, port, target: target.name },
      });
      for (const record of target.addresses) additionals.set(target.name, record);
    }
    return { ...this.#found([...answers.values()]), additionals: [...additionals.values()] };
  }

  /** Consul's target: the address in hex, where the service has one; its own host name; or the node. */
  #target({ service }: Instance): { name: string; addresses: DnsRecord[] } | undefined {
    if (service.address === '') {
      const node = this.#nodeName();
      return isDnsName(node.name) ? node : undefined;
    }
    const address = canonical(service.address);
    if (address === undefined) {
      return isHostName(service.address) ? { name: service.address, addresses: [] } : undefined;
    }
    const { datacenter } = this.#store.node;
    const name = `${hexOfAddress(address)}.addr.${datacenter}.${this.#options.domain}`;
    return { name, addresses: this.#addresses(address, 'ANY', name) };
  }

  #nodeName(): { name: string; addresses: DnsRecord[] } {
    const { node } = this.#store;
    const name = `${node.name}.node.${node.datacenter}.${this.#options.domain}`;
    return { name, addresses: this.#addresses(node.address, 'ANY', name) };
  }

  /** The records of one address, or of the host name that stands for it, that answer a question of this type. */
  #addresses(address: string, type: string, name?: string): DnsRecord[] {
    const owner = name === undefined ? {} : { name };
    const { ttl } = this.#options;
    const ip = canonical(address);
    if (ip !== undefined) {
      const family = ip.includes(':') ? 'AAAA' : 'A';
      return type === family || type === 'ANY' ? [{ ...owner, type: family, ttl, data: ip }] : [];
    }
    const takesAlias = ['A', 'AAAA', 'CNAME', 'ANY'].includes(type);
    return takesAlias && isHostName(address) ? [{ ...owner, type: 'CNAME', ttl, data: address }] : [];
  }

  /** PTR of the node and of services, as Consul answers them; every other name is outside our domain. */
  #reverse(labels: readonly string[], type: string): Answer {
    const address = addressOfReverse(labels);
    if (address === undefined) return labels.at(-1)?.toLowerCase() === 'arpa' ? UNKNOWN_ADDRESS : REFUSED;
    const { node } = this.#store;
    const names = new Set<string>();
    if (canonical(node.address) === address) names.add(this.#nodeName().name);
    for (const { service } of this.#store.all()) {
      if (canonical(service.address) === address) {
        names.add(`${service.name}.service.${node.datacenter}.${this.#options.domain}`);
      }
    }
    const known = [...names].filter(isDnsName);
    if (known.length === 0) return UNKNOWN_ADDRESS;
    const asks = type === 'PTR' || type === 'ANY';
    const { ttl } = this.#options;
    const answers: DnsRecord[] = asks ? known.map((data) => ({ type: 'PTR', ttl, data })) : [];
    return { rcode: 'NOERROR', authoritative: true, answers, authorities: [], additionals: [] };
  }

  /** A name that exists. Without a record of the type asked for, the SOA says for how long that is so (RFC 2308). */
  #found(answers: readonly DnsRecord[]): Answer {
    const authorities = answers.length === 0 ? [this.#soa()] : [];
    return { rcode: 'NOERROR', authoritative: true, answers, authorities, additionals: [] };
  }

  #absent(): Answer {
    return { rcode: 'NXDOMAIN', authoritative: true, answers: [], authorities: [this.#soa()], additionals: [] };
  }

  /** With Consul's numbers; the minimum of 0 keeps resolvers from remembering that a name is not there yet. */
  #soa(): DnsRecord {
    const { domain, ttl, serial } = this.#options;
    const data = { mname: `ns.${domain}`, rname: `hostmaster.${domain}`, serial, refresh: 3600, retry: 600 };
    return { name: domain, type: 'SOA', ttl, data: { ...data, expire: 86_400, minimum: 0 } };
  }
}

const addressOf = ({ service }: Instance, { node }: Store) => (service.address === '' ? node.address : service.address);

const hasTag = ({ service }: Instance, tag: string) => service.tags.some((own) => own.toLowerCase() === tag);

const clamp = (value: number) => Math.min(Math.max(Math.trunc(value) || 0, 0), 65_535);

/** In random order (Fisher–Yates), so that clients that take the first answer spread. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [result[i], result[j]];
    if (a !== undefined && b !== undefined) [result[i], result[j]] = [b, a];
  }
  return result;
}
