import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** Addresses that stand for "outside" and belong to nobody (RFC 5737, RFC 3849): no packet is ever sent to them. */
const OUTSIDE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

/**
 * The host's address that others reach it by: what its name resolves to, else the one that the kernel sends from.
 * Never a loopback or link-local one.
 *
 * @returns undefined where there is none
 */
export async function hostAddress(hostname: string, family: Family): Promise<string | undefined> {
  const late = setTimeoutPromise(RESOLVE_LIMIT, undefined, { ref: false });
  return (await Promise.race([resolved(hostname, family), late])) ?? (await routedOutward(family));
}

/** Milliseconds: where no name server answers, the system's own resolver takes many seconds to say so. */
const RESOLVE_LIMIT = 1_000;

async function resolved(hostname: string, family: Family): Promise<string | undefined> {
  const addresses = await lookup(hostname, { family, all: true }).catch(() => []);
  return addresses.map(({ address }) => address).find(isReachable);
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

function isReachable(address: string): boolean {
  if (isIP(address) === 0) return false;
  return !['loopback', 'linkLocal', 'unspecified', 'multicast'].includes(ipaddr.parse(address).range());
}
