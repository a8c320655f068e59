import { createHmac } from 'node:crypto';
import { sign, type TsigKey } from '../../../src/registries/rfc2136/tsig.ts';

/** A server's side of TSIG, written by the RFC and not by our code, but for the record's form. */

const uint16 = (value: number) => Buffer.of(value >> 8, value & 255);

/** The first message of an answer to the request with this MAC. */
export function answerTo(prior: Buffer, message: Buffer, key: TsigKey, now: number): { packet: Buffer; mac: Buffer } {
  const name = (text: string) => Buffer.from(`${text.replace(/[^.]+\.?/g, label)}\0`, 'latin1');
  const variables = [name(key.name), Buffer.of(0, 255, 0, 0, 0, 0), name(key.algorithm), timers(now), Buffer.alloc(4)];
  return resigned(message, key, now, [uint16(prior.length), prior, message, ...variables]);
}

/** A later message of it, with those before that have no signature. */
export function laterAnswer(prior: Buffer, between: readonly Buffer[], message: Buffer, key: TsigKey, now: number) {
  return resigned(message, key, now, [uint16(prior.length), prior, ...between, message, timers(now)]).packet;
}

function resigned(message: Buffer, key: TsigKey, now: number, covered: readonly Buffer[]) {
  const { packet, mac: old } = sign(message, key, now);
  const mac = createHmac(key.algorithm.slice(5), key.secret).update(Buffer.concat(covered)).digest();
  mac.copy(packet, packet.length - 6 - old.length);
  return { packet, mac };
}

function timers(now: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(now, 0, 6);
  bytes.writeUInt16BE(300, 6);
  return bytes;
}

const label = (text: string) => {
  const bare = text.replace('.', '');
  return `${String.fromCharCode(bare.length)}${bare}`;
};
