import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;
export type HostAddresses = { readonly 4?: string; readonly 6?: string };

/** Addresses that stand for "outside" and belong to nobody (RFC 5737, RFC 3849): no packet is ever sent to them. */
const OUTSIDE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/** Milliseconds between two looks at the host's address. What two looks in a row find counts: within 15 seconds. */
const LOOK_MS = 5_000;

/** How an address was found. */
interface Found {
  readonly address: string;
  readonly by: 'name' | 'route';
  /** Whether it was one of this machine's own: behind a translation of addresses, the name's is not. */
  readonly local: boolean;
}

/**
 * This host's addresses that others reach it by, and what becomes of them: DHCP, a network that comes up after the start
 * and a VPN change them. One that is no longer found stays: to know none is no news.
 */
export class HostAddress {
  readonly #hostname: string;
  readonly #ownNetwork: boolean;
  #found: Readonly<Partial<Record<Family, Found>>> = {};
  /** Look-ups under way: each takes a thread of the few that there are, and one without an answer takes it for long. */
  readonly #lookups = new Map<Family, Promise<readonly string[]>>();

  /** @param ownNetwork whether this process is in a container's network, not the host's: then only its name counts */
  constructor(hostname: string, ownNetwork: boolean) {
    this.#hostname = hostname;
    this.#ownNetwork = ownNetwork;
  }

  get addresses(): HostAddresses {
    const { 4: v4, 6: v6 } = this.#found;
    return { ...(v4 && { 4: v4.address }), ...(v6 && { 6: v6.address }) };
  }

  async look(): Promise<void> {
    this.#found = await this.#find();
  }

  /** Looks again and again until the signal aborts. @param moved is called after each change */
  async follow(moved: (before: HostAddresses) => void, signal: AbortSignal): Promise<void> {
    let last = this.#found;
    for (;;) {
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const found = await this.#find();
      if (signal.aborted) return;
      const before = this.addresses;
      for (const family of [4, 6] as const) {
        // Where none was known, there is nothing to lose.
        const isSure = before[family] === undefined || found[family]?.address === last[family]?.address;
        if (isSure && found[family] !== undefined) this.#found = { ...this.#found, [family]: found[family] };
      }
      last = found;
      if (before[4] !== this.addresses[4] || before[6] !== this.addresses[6]) moved(before);
    }
  }

  async #find(): Promise<Readonly<Partial<Record<Family, Found>>>> {
    const [v4, v6] = await Promise.all([this.#findOne(4), this.#findOne(6)]);
    return { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) };
  }

  async #findOne(family: Family): Promise<Found | undefined> {
    const before = this.#found[family];
    const named = (await this.#resolved(family)).filter((address) => !this.#ownNetwork || !isLocal(address));
    // Name servers give several in turn: the one that is known stays.
    const address = named.find((one) => one === before?.address) ?? named[0];
    if (address !== undefined) return { address, by: 'name', local: isLocal(address) };
    // A name server that is away for a while moves nothing.
    if (this.#ownNetwork || (before?.by === 'name' && isLocal(before.address) === before.local)) return before;
    const routed = await routedOutward(family);
    return routed === undefined ? before : { address: routed, by: 'route', local: true };
  }

  async #resolved(family: Family): Promise<readonly string[]> {
    const lookup = this.#lookups.get(family) ?? resolved(this.#hostname, family);
    this.#lookups.set(family, lookup);
    void lookup.then(() => this.#lookups.delete(family));
    return Promise.race([lookup, sleep(RESOLVE_LIMIT, [], { ref: false })]);
  }
}

/**
 * The host's address that others reach it by: what its name resolves to, else the one that the kernel sends from.
 * Never a loopback or link-local one.
 *
 * @returns undefined where there is none
 */
export async function hostAddress(hostname: string, family: Family): Promise<string | undefined> {
  const address = new HostAddress(hostname, false);
  await address.look();
  return address.addresses[family];
}

/** Milliseconds: where no name server answers, the system's own resolver takes many seconds to say so. */
const RESOLVE_LIMIT = 1_000;

async function resolved(hostname: string, family: Family): Promise<readonly string[]> {
  const found = await lookup(hostname, { family, all: true }).catch(() => []);
  return found.map(({ address }) => address).filter(isReachable);
}

/** Connecting a datagram socket sends nothing, but makes the kernel choose the source address. */
function routedOutward(family: Family): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    const end = (address: string | undefined) => {
      socket.close();
      resolve(address !== undefined && isReachable(address) ? address : undefined);
    };
    socket.once('error', () => end(undefined));
    socket.connect(9, OUTSIDE[family], () => end(socket.address().address));
  });
}

/** Never a loopback or link-local one, which every host has. */
export function isReachable(address: string): boolean {
  if (isIP(address) === 0) return false;
  return !['loopback', 'linkLocal', 'unspecified', 'multicast'].includes(ipaddr.parse(address).range());
}

const isLocal = (address: string) =>
  Object.values(networkInterfaces()).some((one) => one?.some((network) => network.address === address));
