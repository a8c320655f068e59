/** `host:port`, an IPv6 address in brackets. Throws an Error with a sentence where it is none. */
export function hostAndPort(target: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(target) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) throw new Error(`the target "${target}" is no host:port`);
  return { host, port };
}
