import { createHmac, timingSafeEqual } from 'node:crypto';
import { encodeName, lastRecord, nameAt } from './wire.ts';

/** Signatures of DNS messages with a shared secret: TSIG (RFC 8945). Pure; times are seconds since the epoch. */

export const ALGORITHMS = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const;
export type TsigAlgorithm = (typeof ALGORITHMS)[number];

export interface TsigKey {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Buffer;
}

/** The server said why it took no signature of ours: BADSIG, BADKEY, BADTIME, BADTRUNC (RFC 8945, section 3). */
export class TsigRefusal extends Error {
  override readonly name = 'TsigRefusal';
  readonly code: string;
  /** By how many seconds the server's clock is ahead of ours, where that is the reason. */
  readonly skew: number | undefined;

  constructor(code: string, skew?: number) {
    super(`the server takes no signature of ours (${code})`);
    this.code = code;
    this.skew = skew;
  }
}

/** An answer whose signature is missing or wrong: whoever sent it, it counts for nothing. */
export class UntrustedAnswer extends Error {
  override readonly name = 'UntrustedAnswer';
}

const TYPE = 250;
const CLASS_ANY = 255;
/** Seconds by which clocks may differ; what RFC 8945 recommends. */
const FUDGE = 300;
/** RFC 8945, section 5.3.1: so many messages of a transfer may stand between two that are signed. */
const MOST_UNSIGNED = 99;
const ERRORS: Readonly<Record<number, string>> = { 16: 'BADSIG', 17: 'BADKEY', 18: 'BADTIME', 22: 'BADTRUNC' };

/** @returns the message with its signature, and the MAC, which the answer's signature builds on */
export function sign(message: Buffer, key: TsigKey, now: number): { readonly packet: Buffer; readonly mac: Buffer } {
  const timers = timersOf(now, FUDGE);
  const mac = macOf(key, [message, variables(key, timers, 0, Buffer.alloc(0))]);
  const data = Buffer.concat([
    encodeName(key.algorithm),
    timers,
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ]);
  const record = [encodeName(key.name), uint16(TYPE), uint16(CLASS_ANY), Buffer.alloc(4), uint16(data.length), data];
  const packet = Buffer.concat([message, ...record]);
  packet.writeUInt16BE(packet.readUInt16BE(10) + 1, 10);
  return { packet, mac };
}

/** Checks the answer to one signed request, which may be of many messages, as a zone transfer's is. */
export class TsigReader {
  readonly #key: TsigKey;
  #prior: Buffer;
  #isFirst = true;
  /** Messages without a signature since the last one that had one; the next one's covers them. */
  #unsigned: Buffer[] = [];

  /** @param requestMac the MAC of the request */
  constructor(key: TsigKey, requestMac: Buffer) {
    this.#key = key;
    this.#prior = requestMac;
  }

  /** Whether all that was read so far is covered by a signature. */
  get isComplete(): boolean {
    return !this.#isFirst && this.#unsigned.length === 0;
  }

  /**
   * @throws UntrustedAnswer; TsigRefusal where the server says what it did not like
   */
  read(packet: Buffer, now: number): void {
    const tsig = readTsig(packet);
    if (tsig === undefined) {
      if (this.#isFirst || this.#unsigned.length === MOST_UNSIGNED) throw new UntrustedAnswer('it is not signed');
      this.#unsigned.push(packet);
      return;
    }
    const reason = ERRORS[tsig.error];
    if (reason !== undefined) {
      const theirs = tsig.other.length === 6 ? tsig.other.readUIntBE(0, 6) : undefined;
      throw new TsigRefusal(reason, reason === 'BADTIME' && theirs !== undefined ? theirs - now : undefined);
    }
    if (tsig.keyName !== this.#key.name || tsig.algorithm !== this.#key.algorithm) {
      throw new UntrustedAnswer('it is signed with another key');
    }
    const { timers, error, other } = tsig;
    const covered = this.#isFirst ? variables(this.#key, timers, error, other) : timers;
    const chain = [uint16(this.#prior.length), this.#prior, ...this.#unsigned, tsig.message, covered];
    const mac = macOf(this.#key, chain);
    if (mac.length !== tsig.mac.length || !timingSafeEqual(mac, tsig.mac)) {
      throw new UntrustedAnswer('its signature is wrong');
    }
    if (Math.abs(timers.readUIntBE(0, 6) - now) > timers.readUInt16BE(6)) {
      throw new UntrustedAnswer('it was signed at another time: the clocks differ, or somebody has sent an old answer');
    }
    this.#prior = tsig.mac;
    this.#isFirst = false;
    this.#unsigned = [];
  }
}

interface Tsig {
  readonly keyName: string;
  readonly algorithm: string;
  /** Time and fudge, as they stand. */
  readonly timers: Buffer;
  readonly mac: Buffer;
  readonly error: number;
  readonly other: Buffer;
  /** The message as it was signed: without the signature, with its original ID. */
  readonly message: Buffer;
}

/** @returns undefined where there is none, or none that can be read to its end */
function readTsig(packet: Buffer): Tsig | undefined {
  const last = lastRecord(packet);
  if (last?.type !== TYPE || last.class !== CLASS_ANY || packet.readUInt16BE(10) === 0) return undefined;
  const { data } = last;
  const name = nameAt(packet, last.start);
  const algorithm = nameAt(data, 0);
  if (name === undefined || algorithm === undefined || data.length < algorithm.end + 10) return undefined;
  const macAt = algorithm.end + 10;
  const macEnd = macAt + data.readUInt16BE(macAt - 2);
  if (data.length < macEnd + 6) return undefined;
  const otherEnd = macEnd + 6 + data.readUInt16BE(macEnd + 4);
  if (otherEnd !== data.length) return undefined;
  const message = Buffer.from(packet.subarray(0, last.start));
  data.copy(message, 0, macEnd, macEnd + 2);
  message.writeUInt16BE(message.readUInt16BE(10) - 1, 10);
  return {
    keyName: name.text,
    algorithm: algorithm.text,
    timers: data.subarray(algorithm.end, algorithm.end + 8),
    mac: data.subarray(macAt, macEnd),
    error: data.readUInt16BE(macEnd + 2),
    other: data.subarray(macEnd + 6),
    message,
  };
}

/** What of the signature's own record is signed, too (RFC 8945, section 4.3.3). */
function variables({ name, algorithm }: TsigKey, timers: Buffer, error: number, other: Buffer): Buffer {
  const [key, kind] = [encodeName(name), encodeName(algorithm)];
  const classAndTtl = [uint16(CLASS_ANY), Buffer.alloc(4)];
  return Buffer.concat([key, ...classAndTtl, kind, timers, uint16(error), uint16(other.length), other]);
}

function macOf({ algorithm, secret }: TsigKey, parts: readonly Buffer[]): Buffer {
  const hmac = createHmac(algorithm.slice('hmac-'.length), secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function timersOf(seconds: number, fudge: number): Buffer {
  const timers = Buffer.alloc(8);
  timers.writeUIntBE(seconds, 0, 6);
  timers.writeUInt16BE(fudge, 6);
  return timers;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
