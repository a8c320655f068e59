/** What dns-packet does not tell of a message: where in it a name or a record stands. Pure. */

export const HEADER = 12;

/** A name of ASCII labels; empty for the root. */
export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.');
  return Buffer.concat([...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)), ROOT]);
}
const ROOT = Buffer.of(0);

interface NameAt {
  /** Lower case, without the last dot. */
  readonly text: string;
  /** Where it ends that is not what it points to. */
  readonly end: number;
}

/** @returns undefined where there is no name that can be read to its end */
export function nameAt(bytes: Buffer, start: number): NameAt | undefined {
  const labels: string[] = [];
  let end: number | undefined;
  // A pointer points back, so that none leads round in circles.
  let limit = start;
  for (let at = start; ; ) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { text: labels.join('.').toLowerCase(), end: end ?? at + 1 };
    if (length < 64) {
      labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
      if (labels.length > 127) return undefined;
      continue;
    }
    const low = bytes[at + 1];
    if (length < 0xc0 || low === undefined) return undefined;
    end ??= at + 2;
    at = ((length & 0x3f) << 8) | low;
    if (at >= limit) return undefined;
    limit = at;
  }
}

interface RecordAt {
  readonly start: number;
  readonly type: number;
  readonly class: number;
  readonly data: Buffer;
}

/** The message's last record. @returns undefined where it has none, or cannot be read to its end */
export function lastRecord(packet: Buffer): RecordAt | undefined {
  if (packet.length < HEADER) return undefined;
  let at = HEADER;
  for (let left = packet.readUInt16BE(4); left > 0; left--) {
    const end = afterName(packet, at);
    if (end === undefined) return undefined;
    at = end + 4;
  }
  let last: RecordAt | undefined;
  for (let left = [6, 8, 10].reduce((sum, count) => sum + packet.readUInt16BE(count), 0); left > 0; left--) {
    const end = afterName(packet, at);
    if (end === undefined || end + 10 > packet.length) return undefined;
    const next = end + 10 + packet.readUInt16BE(end + 8);
    if (next > packet.length) return undefined;
    const [type, klass] = [packet.readUInt16BE(end), packet.readUInt16BE(end + 2)];
    last = { start: at, type, class: klass, data: packet.subarray(end + 10, next) };
    at = next;
  }
  return at === packet.length ? last : undefined;
}

/** Where a name ends; what it points to is not followed. */
function afterName(packet: Buffer, start: number): number | undefined {
  for (let at = start; ; ) {
    const length = packet[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
}
