import { randomInt } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { asError } from '../../../lib/as-error.ts';
import { inTime } from '../../../lib/in-time.ts';
import type { Logger } from '../../../lib/log/index.ts';
import type { Reply } from '../message.ts';
import type { Query } from '../wire.ts';
import { ask, type Upstream } from './upstream.ts';

export interface ForwarderOptions {
  /** At least one, the one to ask first at first. */
  readonly upstreams: readonly Upstream[];
  readonly log: Logger;
  /** Milliseconds that one resolver may take; 1500. */
  readonly timeoutMs?: number;
}

/** What an upstream resolver said, and since when. */
export interface Resolved extends Reply {
  /** Milliseconds of `performance.now()` at which it came. */
  readonly at: number;
  /** Bytes that it takes in the cache. */
  readonly size: number;
}

/** What of a client's query counts. */
export type ForwardedQuestion = Pick<Query, 'rawQuestion' | 'edns' | 'checkingDisabled'>;

const NO_ERROR = 0;
const NO_SUCH_NAME = 3;
/** Questions under way at once; more are refused at once, with SERVFAIL. */
const MAX_PENDING = 512;
const TIMEOUT = 1500;
/** Every upstream is asked this often, but all of them together for no longer than three of them may take. */
const ROUNDS = 2;
const LONGEST_WAIT = 3;
const CACHE_ENTRIES = 4096;
const CACHE_BYTES = 8 * 1024 * 1024;
/** Seconds: nothing is kept for longer, whatever its owner says; nor "there is none"; nor failures (RFC 9520). */
const LONGEST = 86_400;
const LONGEST_NEGATIVE = 3_600;
const FAILURE = 1;

/** DNS header flags of a query: recursion desired, checking disabled. */
const RD = 0x0100;
const CD = 0x0010;
/** What we take by UDP: no reply of it is ever fragmented (DNS Flag Day 2020). */
const UDP_SIZE = 1232;

/** Asks other resolvers what is not the catalogue's own to say, and remembers it for as long as it is true. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #cache = new LRUCache<string, Resolved>({
    max: CACHE_ENTRIES,
    maxSize: CACHE_BYTES,
    sizeCalculation: ({ size }) => size,
    ttlResolution: 0,
  });
  readonly #failed = new LRUCache<string, true>({ max: CACHE_ENTRIES, ttl: FAILURE * 1000, ttlResolution: 0 });
  readonly #pending = new Map<string, Promise<Resolved | undefined>>();
  readonly #closed = new AbortController();
  /** The upstream that answered last. */
  #preferred = 0;
  #told = false;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** Questions that wait for an upstream. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Equal questions that come while one is under way share its answer. Never rejects.
   * @returns undefined where nobody answers
   */
  async resolve(query: ForwardedQuestion): Promise<Resolved | undefined> {
    const packet = upstreamQuery(query);
    const key = keyOf(query);
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (this.#failed.has(key) || this.#pending.size >= MAX_PENDING || this.#closed.signal.aborted) return undefined;
    const asked = this.#ask(packet).then((reply) => this.#remember(key, reply));
    this.#pending.set(key, asked);
    return asked.finally(() => this.#pending.delete(key));
  }

  /** Ends what is under way. */
  close(): void {
    this.#closed.abort();
  }

  #remember(key: string, reply: Reply | undefined): Resolved | undefined {
    if (reply === undefined) {
      this.#failed.set(key, true);
      return undefined;
    }
    // A copy: the packet may be a part of a much larger buffer.
    const packet = Buffer.from(reply.packet.subarray(0, reply.message.end));
    const resolved = {
      packet,
      message: reply.message,
      at: performance.now(),
      size: packet.length + 2 * key.length + 200,
    };
    const ttl = lifetime(reply) * 1000;
    // To the cache, none would mean for ever.
    if (ttl > 0) this.#cache.set(key, resolved, { ttl });
    return resolved;
  }

  /** The first willing answer; else one of those that will not or cannot say. */
  #ask(packet: Buffer): Promise<Reply | undefined> {
    const { timeoutMs = TIMEOUT } = this.#options;
    return inTime(timeoutMs * LONGEST_WAIT, this.#closed.signal, (end) => this.#askInTurn(packet, timeoutMs, end));
  }

  async #askInTurn(packet: Buffer, timeoutMs: number, end: AbortSignal): Promise<Reply | undefined> {
    const { upstreams, log } = this.#options;
    const first = this.#preferred;
    let unwilling: Reply | undefined;
    let reason: unknown;
    for (let turn = 0; turn < upstreams.length * ROUNDS && !end.aborted; turn++) {
      const index = (first + turn) % upstreams.length;
      const upstream = upstreams[index];
      if (upstream === undefined) break;
      try {
        const reply = await inTime(timeoutMs, end, (limit) => ask(upstream, packet, randomInt(0x10000), limit));
        this.#told = false;
        const { rcode } = reply.message;
        if (rcode !== NO_ERROR && rcode !== NO_SUCH_NAME) {
          unwilling = reply;
          continue;
        }
        this.#preferred = index;
        return reply;
      } catch (error) {
        reason = error;
      }
    }
    if (this.#closed.signal.aborted) return undefined;
    if (unwilling === undefined && !this.#told) {
      this.#told = true;
      log.warn(
        { upstreams: upstreams.map(({ host, port }) => `${host} ${port}`), err: asError(reason).message },
        'no resolver of --dns-forward answers: names outside the catalogue get SERVFAIL until one does',
      );
    }
    return unwilling;
  }
}

/** How many seconds a reply may be kept (RFC 1035, RFC 2308). */
function lifetime({ message: { rcode, records, counts } }: Reply): number {
  if (rcode !== NO_ERROR && rcode !== NO_SUCH_NAME) return FAILURE;
  const soa = records.find(({ section, minimum }) => section === 1 && minimum !== undefined);
  const negative = rcode === NO_SUCH_NAME || counts[0] === 0 || soa !== undefined;
  if (negative && soa === undefined) return 0;
  const shortest = Math.min(...records.map(({ ttl }) => ttl), soa?.minimum ?? LONGEST);
  return Math.min(shortest, negative ? LONGEST_NEGATIVE : LONGEST);
}

/** One for the same question, in whichever case, with the same wishes. */
function keyOf({ rawQuestion, edns, checkingDisabled }: ForwardedQuestion): string {
  const name = rawQuestion.toString('latin1', 0, rawQuestion.length - 4);
  const typeAndClass = rawQuestion.toString('hex', rawQuestion.length - 4);
  const lower = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return `${typeAndClass}${edns?.dnssecOk ? 'D' : ''}${checkingDisabled ? 'C' : ''} ${lower}`;
}

/** The question again, as our own: with EDNS, and with the client's wish for signatures. */
function upstreamQuery({ rawQuestion, edns, checkingDisabled }: ForwardedQuestion): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(RD | (checkingDisabled ? CD : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const opt = Buffer.from([0, 0, 41, UDP_SIZE >> 8, UDP_SIZE & 255, 0, 0, edns?.dnssecOk ? 0x80 : 0, 0, 0, 0]);
  return Buffer.concat([header, rawQuestion, opt]);
}
