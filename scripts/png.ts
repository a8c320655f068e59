import { crc32, deflateSync, inflateSync } from 'node:zlib';

/** Colours that a palette has. */
const PALETTE = 256;

/**
 * The picture with a palette of its most frequent colours, a third of the size: pages have few, and shades of the edges of
 * letters, of which the nearest will do.
 *
 * @param png 8 bits a channel, RGB or RGBA, not interlaced (PNG, W3C): as Chromium writes it
 */
export function withPalette(png: Buffer): Buffer {
  const chunks = [...chunksOf(png)];
  const head = chunks.find(({ type }) => type === 'IHDR')?.data ?? Buffer.alloc(13);
  const [width, height, channels] = [head.readUInt32BE(0), head.readUInt32BE(4), head[9] === 6 ? 4 : 3];
  const data = inflateSync(Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)));
  const colours = unfiltered(data, width, height, channels);
  const counts = new Map<number, number>();
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, PALETTE)
    .map(([colour]) => colour);
  const index = new Map([...counts.keys()].map((colour) => [colour, nearest(palette, colour)]));
  const lines = Buffer.alloc(height * (width + 1));
  for (const [i, colour] of colours.entries()) lines[i + Math.floor(i / width) + 1] = index.get(colour) ?? 0;
  const header = Buffer.from(head);
  header[9] = 3;
  return Buffer.concat([
    png.subarray(0, 8),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function* chunksOf(png: Buffer): Generator<{ type: string; data: Buffer }> {
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += 12 + length;
  }
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

/** The colours as 0xRRGGBB, line by line. Each line of the data begins with its filter, which says what was taken off. */
function unfiltered(data: Buffer, width: number, height: number, channels: number): Uint32Array {
  const size = width * channels;
  const colours = new Uint32Array(width * height);
  let above: Uint8Array = new Uint8Array(size);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (size + 1)] ?? 0;
    const line = Uint8Array.from(data.subarray(y * (size + 1) + 1, (y + 1) * (size + 1)));
    for (let x = 0; x < size; x++) {
      const [left, up, corner] = [line[x - channels] ?? 0, above[x] ?? 0, above[x - channels] ?? 0];
      const predicted = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
      line[x] = (line[x] ?? 0) + predicted;
    }
    for (let x = 0; x < width; x++) {
      const [r = 0, g = 0, b = 0] = line.subarray(x * channels, x * channels + 3);
      colours[y * width + x] = (r << 16) | (g << 8) | b;
    }
    above = line;
  }
  return colours;
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const [toLeft, toUp, toCorner] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

function nearest(palette: readonly number[], colour: number): number {
  const distance = (other: number) =>
    ((other >> 16) - (colour >> 16)) ** 2 +
    (((other >> 8) & 255) - ((colour >> 8) & 255)) ** 2 +
    ((other & 255) - (colour & 255)) ** 2;
  let best = 0;
  for (const [i, other] of palette.entries()) if (distance(other) < distance(palette[best] ?? 0)) best = i;
  return best;
}
