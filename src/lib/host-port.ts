import { isIP } from 'node:net';

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** An address and a port in one text, with an IPv6 address in brackets: as Go's `net.JoinHostPort` writes them. */
export function hostPort(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * Reads `host:port`, `host` or `:port`; an IPv6 address stands in brackets. The host is empty where there is none, the
 * port undefined, and 0 where the text says so: what that means is the caller's.
 *
 * @returns undefined where it is nothing of this, such as a port above 65535
 */
export function parseHostPort(text: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const [match, v6, plain = '', digits] = /^(?:\[([^\]]+)\]|([\w.-]*))(?::(\d+))?$/.exec(text) ?? [];
  if (match === undefined || (v6 !== undefined && isIP(v6) !== 6)) return undefined;
  const port = digits === '0' ? 0 : portNumber(digits ?? '');
  return digits !== undefined && port === undefined ? undefined : { host: v6 ?? plain, port };
}

/** A port number from 1 to 65535 in plain decimal digits. */
export function portNumber(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
