/** An address and a port in one text, with an IPv6 address in brackets: as Go's `net.JoinHostPort` writes them. */
export function hostPort(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}
