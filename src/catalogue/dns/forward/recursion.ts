import { decode } from 'dns-packet';
import { compact } from '../../../lib/compact.ts';
import { isDnsName } from '../name.ts';
import { type Answer, type DnsRecord, encodeReply, passOn, type Query } from '../wire.ts';
import type { ForwardedQuestion, Forwarder, Resolved } from './forwarder.ts';

/** No more than this goes over UDP of what others say, however much the client takes: it is never fragmented. */
const MAX_FORWARDED_UDP = 1232;

/** Answers in full, for clients that cannot ask several servers themselves. */
export class Recursion {
  readonly #forwarder: Forwarder;

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder;
  }

  /**
   * The reply to a query that desires recursion.
   *
   * @param own what the catalogue says of it
   */
  complete(query: Query, own: Answer, transport: 'udp' | 'tcp', limit: number): Buffer | Promise<Buffer> {
    const answer = { ...own, recursionAvailable: true };
    const alias = aliasOf(query, own);
    if (alias !== undefined) return this.#follow(query, answer, alias, limit);
    const others = !own.authoritative && (own.rcode === 'REFUSED' || own.rcode === 'SERVFAIL');
    if (!others || !forwards(query)) return encodeReply(query, answer, limit);
    const most = transport === 'udp' ? Math.min(limit, MAX_FORWARDED_UDP) : limit;
    // By UDP the sender may be a lie, and all records of a name many times its question: let it come by TCP.
    if (transport === 'udp' && query.question.type === 'ANY')
      return encodeReply(query, { ...answer, ...TRUNCATED }, most);
    return this.#ask(query, answer, most);
  }

  close(): void {
    this.#forwarder.close();
  }

  async #ask(query: Query, answer: Answer, limit: number): Promise<Buffer> {
    const resolved = await this.#forwarder.resolve(query);
    if (resolved === undefined) return encodeReply(query, { ...answer, rcode: 'SERVFAIL' }, limit);
    return passOn(query, resolved, ageOf(resolved), limit);
  }

  /** A service's address may be a host name of elsewhere: its addresses, behind the alias. */
  async #follow(query: Query, answer: Answer, alias: string, limit: number): Promise<Buffer> {
    const rawQuestion = Buffer.concat([encodedName(alias), query.rawQuestion.subarray(-4)]);
    const { edns, checkingDisabled } = query;
    const asked: ForwardedQuestion = compact({ rawQuestion, checkingDisabled, edns });
    const resolved = await this.#forwarder.resolve(asked);
    const found = resolved === undefined ? [] : addresses(resolved);
    return encodeReply(query, { ...answer, answers: [...answer.answers, ...found] }, limit);
  }
}

function forwards({ question: { type, class: kind } }: Query): boolean {
  return kind === 'IN' && type !== 'AXFR' && type !== 'IXFR';
}

/** The host name that a service has for an address, where an address was asked for. */
function aliasOf({ question: { type } }: Query, { answers }: Answer): string | undefined {
  const [only, ...more] = answers;
  if ((type !== 'A' && type !== 'AAAA') || only?.type !== 'CNAME' || more.length > 0) return undefined;
  return isDnsName(only.data) ? only.data : undefined;
}

function addresses(resolved: Resolved): DnsRecord[] {
  const age = ageOf(resolved);
  const records: DnsRecord[] = [];
  for (const record of decodedAnswers(resolved.packet)) {
    if (record.type !== 'A' && record.type !== 'AAAA' && record.type !== 'CNAME') continue;
    const { name, type, data, ttl = 0 } = record;
    if (!isDnsName(name) || (type === 'CNAME' && !isDnsName(data))) continue;
    records.push({ name, type, data, ttl: Math.max(0, ttl - age) });
  }
  return records;
}

function decodedAnswers(packet: Buffer) {
  try {
    return decode(packet).answers ?? [];
  } catch {
    return [];
  }
}

function encodedName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label));
  return Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
}

const ageOf = ({ at }: Resolved) => Math.floor((performance.now() - at) / 1000);

const TRUNCATED = { rcode: 'NOERROR', truncated: true } as const;
