import { isIP } from 'node:net';

/**
 * An IP address as a person writes it, an IPv6 one in brackets or not. One with a zone (`fe80::1%eth0`) is none: the zone
 * is the name of an interface of the one host that wrote it, and says nothing to others.
 *
 * @returns the address without brackets; undefined where it is none
 */
export function readIpAddress(text: string): string | undefined {
  const address = text.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 || address.includes('%') ? undefined : address;
}
