import { decode, encode, type Answer as PacketRecord } from 'dns-packet';
import type { Reply } from './message.ts';

/** A question as a client asked it. */
export interface Question {
  /** As written, in UTF-8 where they are; without the root. A label may hold any character, dots included. */
  readonly labels: readonly string[];
  /** `A`, `SRV`, …; `UNKNOWN_<number>` for a type that has no name here. */
  readonly type: string;
  readonly class: string;
}

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** Asks a validating resolver for what it holds for wrong, too (RFC 4035). */
  readonly checkingDisabled: boolean;
  readonly question: Question;
  /** The question's bytes, which the reply repeats as they are. */
  readonly rawQuestion: Buffer;
  /** Where the client speaks EDNS (RFC 6891). */
  readonly edns?: {
    readonly udpSize: number;
    readonly version: number;
    readonly dnssecOk: boolean;
    /** The client's network, as a resolver says it (RFC 7871); the reply says it again. */
    readonly subnet?: Buffer;
  };
}

/** A record of an answer. */
export type DnsRecord = {
  /** Without the last dot; absent: the question's own name, in the question's own case. */
  readonly name?: string;
  /** Seconds. */
  readonly ttl: number;
} & (
  | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'NS' | 'PTR'; readonly data: string }
  | { readonly type: 'TXT'; readonly data: string }
  | { readonly type: 'SRV'; readonly data: SrvData }
  | { readonly type: 'SOA'; readonly data: SoaData }
);

interface SrvData {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

interface SoaData {
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

export interface Answer {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  /** Whether this server asks others where it does not know. */
  readonly recursionAvailable?: boolean;
  /** Left out though it would fit: the client shall come by TCP. */
  readonly truncated?: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

type Rcode = keyof typeof RCODES;

/** Numbers by RFC 1035 and RFC 6891. */
const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

const HEADER = 12;
const QR = 0x8000;
const AA = 0x0400;
const TC = 0x0200;
const RD = 0x0100;
const RA = 0x0080;
const AD = 0x0020;
const CD = 0x0010;
const OPCODE = 0x7800;
const DNSSEC_OK = 0x8000;
const CLIENT_SUBNET = 8;
/** RFC 1035: a client that says nothing takes this much over UDP. */
const PLAIN_UDP = 512;
/** The most that we send over UDP, and what we say that we take: more is cut into fragments on the way (DNS flag day 2020). */
const MAX_OWN_UDP = 1232;
export const MAX_TCP = 65_535;

/** A bare answer with an error: all that a query which cannot be read gets. */
export interface Refusal {
  readonly reply: Buffer;
}

/** @returns undefined for what is no query: it gets no answer, or two servers could talk for ever */
export function parseQuery(packet: Buffer): Query | Refusal | undefined {
  if (packet.length < HEADER) return undefined;
  const flags = packet.readUInt16BE(2);
  if ((flags & QR) !== 0) return undefined;
  if ((flags & OPCODE) !== 0) return { reply: bare(packet, 'NOTIMP') };
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => packet.readUInt16BE(at));
  // A query has one question, and beside it nothing but EDNS and perhaps a signature.
  if (questions !== 1 || answers !== 0 || authorities !== 0 || (additionals ?? 0) > 4) {
    return { reply: bare(packet, 'FORMERR') };
  }
  const name = labelsAt(packet, HEADER);
  if (name === undefined || name.end + 4 > packet.length) return { reply: bare(packet, 'FORMERR') };
  try {
    const decoded = decode(packet);
    const [question] = decoded.questions ?? [];
    const options = (decoded.additionals ?? []).filter((record) => record.type === 'OPT');
    const [edns] = options;
    if (question === undefined || options.length > 1) return { reply: bare(packet, 'FORMERR') };
    return {
      id: packet.readUInt16BE(0),
      recursionDesired: (flags & RD) !== 0,
      checkingDisabled: (flags & CD) !== 0,
      question: { labels: name.labels, type: question.type, class: question.class ?? 'IN' },
      rawQuestion: packet.subarray(HEADER, name.end + 4),
      ...(edns === undefined
        ? {}
        : {
            edns: {
              udpSize: edns.udpPayloadSize,
              version: edns.ednsVersion,
              dnssecOk: (edns.flags & DNSSEC_OK) !== 0,
              ...subnetOf(edns.options),
            },
          }),
    };
  } catch {
    return { reply: bare(packet, 'FORMERR') };
  }
}

/** How many bytes a reply to this query may have over UDP. */
export function udpLimit({ edns }: Query): number {
  return edns === undefined ? PLAIN_UDP : Math.min(Math.max(edns.udpSize, PLAIN_UDP), MAX_OWN_UDP);
}

/**
 * The reply, of at most `limit` bytes: records that do not fit are left out whole, and the reply says that it is
 * truncated where they belong to the answer itself (RFC 2181, section 9). Names are compressed.
 */
export function encodeReply(query: Query, answer: Answer, limit: number): Buffer {
  const opt = query.edns === undefined ? undefined : optRecord(query.edns, answer.rcode);
  const writer = new Writer(query, limit - (opt?.length ?? 0));
  const answers = writer.section(answer.answers);
  const whole = answers === answer.answers.length;
  const authorities = whole ? writer.section(answer.authorities) : 0;
  const truncated = answer.truncated === true || !whole || authorities < answer.authorities.length;
  const additionals = truncated ? 0 : writer.section(answer.additionals);
  if (opt !== undefined) writer.raw(opt);
  const header = Buffer.alloc(HEADER);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(
    QR |
      (answer.authoritative ? AA : 0) |
      (truncated ? TC : 0) |
      (query.recursionDesired ? RD : 0) |
      (answer.recursionAvailable ? RA : 0) |
      (RCODES[answer.rcode] & 15),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers, 6);
  header.writeUInt16BE(authorities, 8);
  header.writeUInt16BE(additionals + (opt === undefined ? 0 : 1), 10);
  return writer.end(header);
}

/**
 * What an upstream resolver said, for this client: its ID, its question's own case, the time that has passed since, and
 * no record where that would be too long.
 *
 * @param age seconds since it was said
 */
export function passOn(query: Query, { packet, message }: Reply, age: number, limit: number): Buffer {
  const opt = query.edns === undefined ? Buffer.alloc(0) : optRecord(query.edns, 'NOERROR');
  const fits = message.end + opt.length <= limit;
  const reply = Buffer.from(packet.subarray(0, fits ? message.end : HEADER + query.rawQuestion.length));
  const [answers, authorities, additionals] = fits ? message.counts : [0, 0, 0];
  reply.writeUInt16BE(query.id, 0);
  reply.writeUInt16BE(
    QR |
      (fits ? 0 : TC) |
      (query.recursionDesired ? RD : 0) |
      RA |
      (packet.readUInt16BE(2) & AD) |
      (query.checkingDisabled ? CD : 0) |
      message.rcode,
    2,
  );
  reply.writeUInt16BE(answers, 6);
  reply.writeUInt16BE(authorities, 8);
  reply.writeUInt16BE(additionals + (opt.length === 0 ? 0 : 1), 10);
  query.rawQuestion.copy(reply, HEADER);
  if (fits) for (const { ttl, ttlAt } of message.records) reply.writeUInt32BE(Math.max(0, ttl - age), ttlAt);
  return Buffer.concat([reply, opt]);
}

/** Where a name begins in the message, by the name in its own case. */
type Offsets = Map<string, number>;

class Writer {
  readonly #parts: Buffer[] = [];
  readonly #limit: number;
  readonly #offsets: Offsets = new Map();
  #length = HEADER;

  constructor(query: Query, limit: number) {
    this.#limit = limit;
    const { labels } = query.question;
    // Names are compressed by their text. A label with a dot inside it, or with bytes that are no UTF-8, reads like another
    // name, so nothing may point to it.
    if (!labels.some((label) => /[.\ufffd]/.test(label))) remember(this.#offsets, labels.join('.'), HEADER);
    this.raw(query.rawQuestion);
  }

  raw(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** @returns how many of the records fit, from the first on */
  section(records: readonly DnsRecord[]): number {
    let written = 0;
    for (const record of records) {
      const name = record.name === undefined ? pointer(HEADER) : this.#compressed(record.name);
      const rest = afterName(record);
      if (this.#length + name.length + rest.length > this.#limit) return written;
      if (record.name !== undefined) remember(this.#offsets, record.name, this.#length);
      this.raw(name);
      const target = nameInData(record);
      // Ten bytes of type, class, TTL and length stand before the data.
      if (target !== undefined) remember(this.#offsets, target.name, this.#length + 10 + target.at);
      this.raw(rest);
      written += 1;
    }
    return written;
  }

  end(header: Buffer): Buffer {
    return Buffer.concat([header, ...this.#parts], this.#length);
  }

  /** The name's first labels, and a pointer to where the rest stands already. */
  #compressed(name: string): Buffer {
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const offset = this.#offsets.get(name.slice(at));
      if (offset !== undefined) return Buffer.concat([...parts, pointer(offset)]);
      const dot = name.indexOf('.', at);
      const label = Buffer.from(name.slice(at, dot === -1 ? undefined : dot));
      parts.push(Buffer.of(label.length), label);
      if (dot === -1) return Buffer.concat([...parts, Buffer.of(0)]);
      at = dot + 1;
    }
  }
}

/** Notes where a name that begins at `start`, and each of its endings, stands. */
function remember(offsets: Offsets, name: string, start: number): void {
  for (let at = 0; ; ) {
    const ending = name.slice(at);
    // The endings of a known name are known.
    if (offsets.has(ending)) return;
    // A label's length takes the byte that the dot before it takes in the text.
    const offset = start + Buffer.byteLength(name.slice(0, at));
    // A pointer has 14 bits.
    if (offset < 0x4000) offsets.set(ending, offset);
    const dot = name.indexOf('.', at);
    if (dot === -1) return;
    at = dot + 1;
  }
}

function pointer(offset: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(0xc000 | offset);
  return bytes;
}

/** Type, class, TTL, length and data, without compression: SRV targets must not have it (RFC 2782). */
function afterName(record: DnsRecord): Buffer {
  const { type, ttl, data } = record;
  const packet = encode({ type: 'response', answers: [{ name: '.', type, ttl, data } as PacketRecord] });
  return packet.subarray(HEADER + 1);
}

/** A name in the record's data that later records may point to. */
function nameInData(record: DnsRecord): { name: string; at: number } | undefined {
  if (record.type === 'SRV') return { name: record.data.target, at: 6 };
  if (record.type === 'NS') return { name: record.data, at: 0 };
  return undefined;
}

/** As it came, but for the length of the network that the answer is for: 0, everybody. Undefined where it is none. */
function subnetOf(
  options: readonly { readonly code: unknown; readonly data?: unknown }[],
): { subnet: Buffer } | object {
  const data = options.find(({ code }) => code === CLIENT_SUBNET)?.data;
  if (!Buffer.isBuffer(data) || data.length < 4 || data.length > 20) return {};
  const subnet = Buffer.from(data);
  subnet[3] = 0;
  return { subnet };
}

function optRecord({ dnssecOk, subnet }: NonNullable<Query['edns']>, rcode: Rcode): Buffer {
  const record: PacketRecord = {
    name: '.',
    type: 'OPT',
    udpPayloadSize: MAX_OWN_UDP,
    extendedRcode: RCODES[rcode] >> 4,
    ednsVersion: 0,
    flags: dnssecOk ? DNSSEC_OK : 0,
    flag_do: dnssecOk,
    options: subnet === undefined ? [] : [{ code: CLIENT_SUBNET, data: subnet } as never],
  };
  return encode({ type: 'response', additionals: [record] }).subarray(HEADER);
}

function bare(packet: Buffer, rcode: 'FORMERR' | 'NOTIMP'): Buffer {
  const reply = Buffer.alloc(HEADER);
  packet.copy(reply, 0, 0, 2);
  reply.writeUInt16BE(QR | (packet.readUInt16BE(2) & (OPCODE | RD)) | RCODES[rcode], 2);
  return reply;
}

/** The labels of an uncompressed name: a question comes first, there is nothing that it could point to. */
function labelsAt(packet: Buffer, start: number): { labels: string[]; end: number } | undefined {
  const labels: string[] = [];
  let offset = start;
  for (;;) {
    const length = packet[offset];
    if (length === undefined || length > 63) return undefined;
    offset += 1;
    if (length === 0) return offset - start > 255 ? undefined : { labels, end: offset };
    if (offset + length > packet.length || offset + length - start > 255) return undefined;
    labels.push(packet.toString('utf8', offset, offset + length));
    offset += length;
  }
}
