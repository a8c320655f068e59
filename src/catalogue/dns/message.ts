/** A DNS message of somebody else, read only as far as to pass it on: any record type goes through as it is. */
export interface Message {
  readonly id: number;
  readonly rcode: number;
  readonly truncated: boolean;
  /** The question's bytes: name, type and class. */
  readonly question: Buffer;
  readonly records: readonly MessageRecord[];
  /** Where the records end that may be passed on: an OPT record is between two neighbours only (RFC 6891). */
  readonly end: number;
  /** How many records stand before `end`, by section. */
  readonly counts: readonly [answers: number, authorities: number, additionals: number];
}

/** What another server answered: its bytes, and what they say. */
export interface Reply {
  readonly packet: Buffer;
  readonly message: Message;
}

interface MessageRecord {
  readonly section: 0 | 1 | 2;
  readonly type: number;
  /** Where its TTL stands. */
  readonly ttlAt: number;
  /** Seconds. */
  readonly ttl: number;
  /** Of a SOA: for how many seconds "there is none" may be remembered (RFC 2308). */
  readonly minimum?: number;
}

const HEADER = 12;
const QR = 0x8000;
const TC = 0x0200;
const OPT = 41;
const SOA = 6;

/** @returns undefined where it is no reply with one question that can be read to its end */
export function readMessage(packet: Buffer): Message | undefined {
  if (packet.length < HEADER) return undefined;
  const flags = packet.readUInt16BE(2);
  if ((flags & QR) === 0 || packet.readUInt16BE(4) !== 1) return undefined;
  let at = afterName(packet, HEADER);
  if (at === undefined || at + 4 > packet.length) return undefined;
  at += 4;
  const question = packet.subarray(HEADER, at);
  const records: MessageRecord[] = [];
  const counts: [number, number, number] = [0, 0, 0];
  let end: number | undefined;
  for (const section of [0, 1, 2] as const) {
    for (let left = packet.readUInt16BE(6 + 2 * section); left > 0; left--) {
      const start = at;
      const named = afterName(packet, at);
      if (named === undefined || named + 10 > packet.length) return undefined;
      at = named + 10 + packet.readUInt16BE(named + 8);
      if (at > packet.length) return undefined;
      const type = packet.readUInt16BE(named);
      if (type === OPT) end ??= start;
      if (end !== undefined) continue;
      counts[section] += 1;
      const ttl = seconds(packet.readUInt32BE(named + 4));
      // The minimum is the last of a SOA's numbers.
      const minimum = type === SOA && at - named >= 30 ? { minimum: seconds(packet.readUInt32BE(at - 4)) } : {};
      records.push({ section, type, ttlAt: named + 4, ttl, ...minimum });
    }
  }
  const truncated = (flags & TC) !== 0;
  return { id: packet.readUInt16BE(0), rcode: flags & 15, truncated, question, records, end: end ?? at, counts };
}

/** RFC 2181, section 8: what has the highest bit counts as 0. */
const seconds = (value: number) => (value >= 2 ** 31 ? 0 : value);

/** Where a name ends that may be compressed; what it points to is not followed. */
function afterName(packet: Buffer, start: number): number | undefined {
  for (let at = start; ; ) {
    const length = packet[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 > packet.length ? undefined : at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
}
