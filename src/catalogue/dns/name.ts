import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** What a name under the domain stands for. All labels are lower case. */
export type NameQuery =
  | { readonly kind: 'service' | 'node' | 'addr'; readonly labels: readonly string[] }
  /** The domain itself. */
  | { readonly kind: 'apex' }
  /** A name that has others below it, but nothing of its own. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'none' };

const KINDS = ['service', 'node', 'addr'] as const;

/**
 * Reads `<labels>.<kind>[.<datacenter>].<domain>` (Consul's DNS interface).
 *
 * @returns undefined for a name outside the domain
 */
export function readName(labels: readonly string[], domain: string, datacenter: string): NameQuery | undefined {
  const lower = labels.map((label) => label.toLowerCase());
  const zone = domain.toLowerCase().split('.');
  const cut = lower.length - zone.length;
  if (cut < 0 || zone.some((label, i) => label !== lower[cut + i])) return undefined;
  const inside = lower.slice(0, cut);
  if (inside.length === 0) return { kind: 'apex' };
  return readKind(inside) ?? inDatacenter(inside, datacenter.toLowerCase());
}

function inDatacenter(inside: readonly string[], datacenter: string): NameQuery {
  if (inside.at(-1) !== datacenter) return { kind: 'none' };
  return inside.length === 1 ? { kind: 'empty' } : (readKind(inside.slice(0, -1)) ?? { kind: 'none' });
}

function readKind(labels: readonly string[]): NameQuery | undefined {
  const kind = KINDS.find((known) => known === labels.at(-1));
  if (kind === undefined) return undefined;
  return labels.length === 1 ? { kind: 'empty' } : { kind, labels: labels.slice(0, -1) };
}

/**
 * The ways to read what stands before `.service`, the likeliest first: RFC 2782's `_name._tag`, Consul's `tag.name`
 * with the tag's dots, and then names that have dots themselves, which Consul cannot reach.
 */
export function serviceReadings(labels: readonly string[]): { readonly name: string; readonly tag?: string }[] {
  const [first = ''] = labels;
  const last = labels.at(-1) ?? '';
  const readings: { name: string; tag?: string }[] = [];
  if (labels.length > 1 && first.startsWith('_') && last.startsWith('_')) {
    const name = labels.slice(0, -1).join('.').slice(1);
    // `_tcp` stands for any instance, as in Consul; `_udp` for those with that tag, which registrator gives them.
    readings.push(last === '_tcp' ? { name } : { name, tag: last.slice(1) });
  }
  for (let cut = labels.length - 1; cut >= 0; cut--) {
    const name = labels.slice(cut).join('.');
    readings.push(cut === 0 ? { name } : { name, tag: labels.slice(0, cut).join('.') });
  }
  return readings;
}

/** The label that Consul gives an address: its bytes in hex. */
export function hexOfAddress(address: string): string {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number)).toString('hex');
  return Buffer.from(ipaddr.parse(address).toByteArray()).toString('hex');
}

/** The address of such a label; undefined where it is none. */
export function addressOfHex(hex: string): string | undefined {
  if (!/^([0-9a-f]{8}|[0-9a-f]{32})$/.test(hex)) return undefined;
  return ipaddr.fromByteArray([...Buffer.from(hex, 'hex')]).toString();
}

/** The address of a name under in-addr.arpa or ip6.arpa; undefined where it is none. */
export function addressOfReverse(labels: readonly string[]): string | undefined {
  const lower = labels.map((label) => label.toLowerCase());
  const zone = lower.slice(-2).join('.');
  const digits = lower.slice(0, -2).reverse();
  if (zone === 'in-addr.arpa' && digits.length === 4) {
    const address = digits.join('.');
    return isIP(address) === 4 ? address : undefined;
  }
  if (zone !== 'ip6.arpa' || digits.length !== 32 || digits.some((digit) => !/^[0-9a-f]$/.test(digit))) {
    return undefined;
  }
  return addressOfHex(digits.join(''));
}

/** An address in its one way of writing, so that equal ones are equal text; without a zone (`%eth0`). */
export function canonical(address: string): string | undefined {
  const family = isIP(address);
  // Every way to write an IPv4 address but one is refused by isIP.
  if (family !== 6) return family === 4 ? address : undefined;
  const [bare = ''] = address.split('%');
  return ipaddr.parse(bare).toString();
}

/** Whether the name can be written in DNS: labels of 1 to 63 bytes, 253 in all. */
export function isDnsName(name: string): boolean {
  const labels = name.split('.');
  return Buffer.byteLength(name) <= 253 && labels.every((label) => label !== '' && Buffer.byteLength(label) <= 63);
}

/** A host name that a label gave as an address, such as `db.example.com`. */
export function isHostName(name: string): boolean {
  return isDnsName(name) && /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(name) && !/^[0-9.]+$/.test(name);
}
