import { randomInt } from 'node:crypto';
import { type Answer, type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';
import { LRUCache } from 'lru-cache';
import { HEADER } from './wire.ts';

/** Updates (RFC 2136) and questions, as bytes; their answers, read. Pure but for the messages' IDs. */

/** A record that registrator writes or reads. Names are lower case, without the last dot. */
export type ZoneRecord = { readonly name: string } & (
  | { readonly type: 'A' | 'AAAA' | 'PTR'; readonly data: string }
  | { readonly type: 'SRV'; readonly data: SrvData }
  | { readonly type: 'TXT'; readonly data: readonly Buffer[] }
);

interface SrvData {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** One line of an update: a condition, or a change. */
export type Line = Buffer;

const OPCODE_UPDATE = 5 << 11;
const CLASS_IN = 1;
const CLASS_NONE = 254;
const TYPES = { CNAME: 5, TXT: 16, PTR: 12, ANY: 255 } as const;

/** Condition: of all records with this name and type there is this one (and those of other such lines), and no other. */
export const holds = (record: ZoneRecord): Line => line(record, CLASS_IN, 0);
/** The same is asked of a service's names for each of its instances. */
const lacking = new LRUCache<string, Line>({ max: 1_000 });

/** Condition: there is no record with this name and type. */
export function lacks(name: string, type: 'CNAME' | 'TXT' | 'PTR'): Line {
  const key = `${type} ${name}`;
  const known = lacking.get(key);
  if (known !== undefined) return known;
  const made = empty(name, TYPES[type]);
  lacking.set(key, made);
  return made;
}
/** Condition: there is no record with this name at all. */
export const isUnused = (name: string): Line => empty(name, TYPES.ANY);
/** Change: the record is there; others of its name stay. @param ttl seconds */
export const add = (record: ZoneRecord, ttl: number): Line => line(record, CLASS_IN, ttl);
/** Change: this one record goes, where it is there. */
export const remove = (record: ZoneRecord): Line => line(record, CLASS_NONE, 0);

/** All of the changes, if all of the conditions hold; else none. */
export function updateMessage(zone: string, conditions: readonly Line[], changes: readonly Line[]): Buffer {
  const head = encode({
    id: newId(),
    type: 'query',
    flags: OPCODE_UPDATE,
    questions: [{ name: zone, type: 'SOA' }],
  });
  head.writeUInt16BE(conditions.length, 6);
  head.writeUInt16BE(changes.length, 8);
  return Buffer.concat([head, ...conditions, ...changes]);
}

export function question(name: string, type: 'SOA' | 'NS' | 'A' | 'AAAA' | 'TXT' | 'PTR' | 'AXFR'): Buffer {
  return encode({ id: newId(), type: 'query', questions: [{ name, type }] });
}

/**
 * Reads an answer to this request.
 * @throws Error where it is none
 */
export function readAnswer(packet: Buffer, request: Buffer): DecodedPacket & { readonly rcode: string } {
  if (packet.length < HEADER || packet.readUInt16BE(0) !== request.readUInt16BE(0) || (packet[2] ?? 0) < 0x80) {
    throw new Error('the DNS server answers another question');
  }
  try {
    return decode(packet) as DecodedPacket & { readonly rcode: string };
  } catch (error) {
    throw new Error(`the DNS server's answer makes no sense: ${(error as Error).message}`);
  }
}

/** @returns undefined for a type that registrator does not write */
export function zoneRecord(answer: Answer): ZoneRecord | undefined {
  const name = answer.name.toLowerCase();
  switch (answer.type) {
    case 'A':
    case 'AAAA':
    case 'PTR':
      return { name, type: answer.type, data: answer.data.toLowerCase() };
    case 'SRV': {
      const { priority = 0, weight = 0, port, target } = answer.data;
      return { name, type: 'SRV', data: { priority, weight, port, target: target.toLowerCase() } };
    }
    case 'TXT':
      return { name, type: 'TXT', data: [answer.data].flat().map((part) => Buffer.from(part)) };
    default:
      return undefined;
  }
}

/** Equal for equal records. */
export function textOf({ name, type, data }: ZoneRecord): string {
  switch (type) {
    case 'SRV':
      return `${name} SRV ${data.priority} ${data.weight} ${data.port} ${data.target}`;
    case 'TXT':
      return `${name} TXT ${Buffer.concat(data)}`;
    default:
      return `${name} ${type} ${data}`;
  }
}

function line(record: ZoneRecord, recordClass: number, ttl: number): Line {
  return withClass({ ...record, ttl } as Answer, recordClass);
}

function empty(name: string, type: number): Line {
  return withClass(
    { name, type: `UNKNOWN_${type}` as RecordType, ttl: 0, data: Buffer.alloc(0) } as Answer,
    CLASS_NONE,
  );
}

/** dns-packet does not know the class NONE. */
function withClass(answer: Answer, recordClass: number): Line {
  const bytes = encode({ type: 'query', answers: [answer] }).subarray(HEADER);
  // A label's length takes the byte of the dot after it; the root and the type come before the class.
  bytes.writeUInt16BE(recordClass, answer.name.length + 2 + 2);
  return bytes;
}

const newId = () => randomInt(0x10000);
