import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { parseHostPort } from './host-port.ts';

/**
 * Whether a request for this `Host` is meant for us: for an IP address, localhost, this host's name, or one of those given.
 * Any web page can have a name of its own resolve to our address, and would read what we serve as its own (DNS
 * rebinding): a browser says that name then.
 *
 * @param header absent in requests of HTTP/1.0, which no browser makes
 */
export function isServedHost(header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined) return true;
  const asked = parseHostPort(header)?.host.replace(/\.$/, '').toLowerCase();
  if (asked === undefined || asked === '') return false;
  if (isIP(asked) !== 0 || asked === 'localhost' || asked.endsWith('.localhost')) return true;
  return [hostname(), ...names].some((name) => name.toLowerCase() === asked);
}
