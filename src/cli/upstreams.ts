import { isIP } from 'node:net';
import { type HostPort, parseHostPort } from '../lib/host-port.ts';

const DNS_PORT = 53;

/**
 * `host[:port]`, several with commas between: `192.0.2.1,[2001:db8::1]:5353`. Addresses only: a name would have to be
 * resolved first, by whom?
 *
 * @returns undefined where one is none
 */
export function parseUpstreams(text: string): HostPort[] | undefined {
  const upstreams = text.split(',').map((one) => parseUpstream(one.trim()));
  const known = upstreams.filter((upstream) => upstream !== undefined);
  return known.length === upstreams.length ? known : undefined;
}

function parseUpstream(text: string): HostPort | undefined {
  if (isIP(text) !== 0) return { host: text, port: DNS_PORT };
  const { host = '', port = DNS_PORT } = parseHostPort(text) ?? {};
  return isIP(host) !== 0 && port !== 0 ? { host, port } : undefined;
}
