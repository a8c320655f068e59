/**
 * One part of a key or path that a registry splits at slashes. Ordinary text stays as it is; what would alter the path,
 * or is illegal in one (Consul's HTTP router, ZooKeeper's PathUtils), is percent-encoded. Injective: `%` is encoded too,
 * and nothing at all becomes a lone `%`.
 */
export function encodeSegment(text: string): string {
  if (ORDINARY.test(text)) return text;
  if (text === '') return '%';
  if (text === '.' || text === '..') return text.replaceAll('.', '%2E');
  return text.replace(ILLEGAL, percent);
}

/** The inverse; text that `encodeSegment` did not make comes back as it is. */
export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  if (segment === '%') return '';
  try {
    const text = segment.replace(/%u(D[89A-F][0-9A-F]{2})|(?:%[0-9A-F]{2})+/g, (part, surrogate?: string) =>
      surrogate === undefined ? decodeURIComponent(part) : String.fromCharCode(Number.parseInt(surrogate, 16)),
    );
    return encodeSegment(text) === segment ? text : segment;
  } catch {
    return segment;
  }
}

/** What nearly every name and ID is, seen at a glance. */
const ORDINARY = /^[\w:-][\w:.-]*$/;

/** Slash, percent, control and format characters, lone surrogates, private use, and all beyond the basic plane. */
const ILLEGAL = /[/%\p{C}\ufff0-\uffff\u{10000}-\u{10ffff}]/gu;

function percent(char: string): string {
  const unit = char.charCodeAt(0);
  if (char.length === 1 && unit >= 0xd800 && unit <= 0xdfff) return `%u${unit.toString(16).toUpperCase()}`;
  return Buffer.from(char).reduce((text, byte) => `${text}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, '');
}
