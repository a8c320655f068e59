import { isIP } from 'node:net';

const DNS_PORT = 53;

/**
 * `host[:port]`, several with commas between: `192.0.2.1,[2001:db8::1]:5353`. Addresses only: a name would have to be
 * resolved first, by whom?
 *
 * @returns undefined where one is none
 */
export function parseUpstreams(text: string): { host: string; port: number }[] | undefined {
  const upstreams = text.split(',').map((one) => parseUpstream(one.trim()));
  const known = upstreams.filter((upstream) => upstream !== undefined);
  return known.length === upstreams.length ? known : undefined;
}

function parseUpstream(text: string): { host: string; port: number } | undefined {
  if (isIP(text) !== 0) return { host: text, port: DNS_PORT };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = digits === undefined ? DNS_PORT : Number(digits);
  const family = bracketed === undefined ? 4 : 6;
  return isIP(host) === family && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
