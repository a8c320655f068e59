import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * How checks find addresses. A check goes where a label says, and shows what it found there; what is on a link-local
 * address (169.254.169.254, where clouds keep the machine's own credentials) is for this host alone, however it is spelt.
 */
export const lookUp: LookupFunction = (hostname, options, found) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? [];
    const refused = addresses?.find(({ address }) => isLinkLocal(address));
    if (error !== null || first === undefined) found(error ?? new Error(`${hostname} has no address`), '');
    else if (refused !== undefined) found(new Error(linkLocal(refused.address)), '');
    else if (options.all) found(null, addresses);
    else found(null, first.address, first.family);
  });
};

/** An address itself is not looked up. @param hostname as URLs have it, IPv6 in brackets or without @throws Error */
export function checkReach(hostname: string): void {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 && isLinkLocal(host)) throw new Error(linkLocal(host));
}

const linkLocal = (address: string) => `no check is made of link-local addresses, such as ${address}`;

/** Mapped, compatible and translated addresses count as the IPv4 address inside. */
function isLinkLocal(text: string): boolean {
  const address = ipaddr.parse(text.replace(/%.*$/, ''));
  if (address.range() === 'linkLocal') return true;
  return address instanceof ipaddr.IPv6 && insideOf(address).range() === 'linkLocal';
}

const insideOf = (address: ipaddr.IPv6) => new ipaddr.IPv4(address.toByteArray().slice(12));
