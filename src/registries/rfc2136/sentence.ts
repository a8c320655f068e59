import type { DnsRefusal } from './server.ts';
import type { Rfc2136Target } from './uri.ts';

/** What was asked for when the server said no. */
export type Deed = 'update' | 'transfer' | 'question';

/** What the server's answer means, and the line of its configuration that helps. */
export function sentenceOf({ code, skew }: DnsRefusal, deed: Deed, { zone, keyName = '<key>' }: Rfc2136Target): string {
  const says = `The DNS server says ${code}`;
  switch (code) {
    case 'REFUSED':
      return `${says}: ${refused(deed, zone, keyName)}`;
    case 'NOTAUTH':
      return `${says}: it is not a primary server of the zone ${zone}, or the key "${keyName}" is not for it. Check the zone in the URI against named.conf or knot.conf.`;
    case 'NOTIMP':
      return `${says}: it takes no dynamic updates (RFC 2136). Give the URI of the zone's primary server.`;
    case 'NOTZONE':
      return `${says}: the name is not in the zone ${zone}.`;
    case 'BADKEY':
      return `${says}: it has no key "${keyName}" with this algorithm. BIND: key "${keyName}" { algorithm hmac-sha256; secret "…"; }; Knot: in key:, - id: ${keyName} with algorithm and secret. Or set RFC2136_TSIG_KEYNAME and RFC2136_TSIG_ALGORITHM to what it has.`;
    case 'BADSIG':
      return `${says}: it has another secret for the key "${keyName}". RFC2136_TSIG_SECRET takes what is between the quotes after "secret" in named.conf or knot.conf.`;
    case 'BADTIME':
      return `${says}: ${clocks(skew)}. Signatures hold for five minutes: set both clocks by NTP.`;
    case 'SERVFAIL':
      return `${says}: it cannot use the zone ${zone} now. Its log says why: mostly it may not write the folder of the zone's file and journal, or a name would get more than 100 records, where BIND needs max-records-per-type 0; in the zone.`;
    case 'FORMERR':
      return `${says}: it does not understand the message; is it a DNS server that takes updates (RFC 2136)?`;
    default:
      return `${says}.`;
  }
}

function refused(deed: Deed, zone: string, key: string): string {
  switch (deed) {
    case 'update':
      return `the key may not change the zone ${zone}. BIND: update-policy { grant ${key} zonesub ANY; }; and, for names with an underscore, check-names ignore; in the zone. Knot: an acl with key: ${key} and action: [update, transfer], named in the zone's acl.`;
    case 'transfer':
      return `the key may not read the whole zone ${zone}, by which registrator finds its own entries. BIND: allow-transfer { key ${key}; }; in the zone. Knot: an acl with key: ${key} and action: [update, transfer], named in the zone's acl.`;
    case 'question':
      return `the key may not ask for names in the zone ${zone}. BIND: allow-query { key ${key}; }; in the zone.`;
  }
}

function clocks(skew: number | undefined): string {
  if (skew === undefined) return "this host's clock and the server's differ";
  const [amount, direction] = [Math.abs(skew), skew > 0 ? 'behind' : 'ahead of'];
  return `this host's clock is ${amount} seconds ${direction} the server's`;
}
