const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

const ESCAPE = /\\(?:([abfnrtv\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|)/g;

/**
 * The value of a Go literal: `"…"`, a raw `` `…` ``, a number, or a character `'a'`, which is its code point.
 *
 * @returns undefined where it is none
 */
export function literalValue(text: string): string | number | undefined {
  if (text.startsWith('`')) return text.slice(1, -1);
  if (text.startsWith('"')) return unescaped(text.slice(1, -1));
  if (text.startsWith("'")) {
    const character = unescaped(text.slice(1, -1));
    return character !== undefined && [...character].length === 1 ? character.codePointAt(0) : undefined;
  }
  const digits = text.replaceAll('_', '');
  const value = /^[+-]/.test(digits) ? Number(`${digits[0]}1`) * Number(digits.slice(1)) : Number(digits);
  return Number.isFinite(value) ? value : undefined;
}

function unescaped(text: string): string | undefined {
  let valid = true;
  const value = text.replace(ESCAPE, (_, letter?: string, x?: string, u?: string, U?: string, octal?: string) => {
    if (letter !== undefined) return ESCAPES[letter] ?? '';
    const digits = x ?? u ?? U;
    const code =
      digits !== undefined ? Number.parseInt(digits, 16) : octal !== undefined ? Number.parseInt(octal, 8) : -1;
    if (code >= 0 && code <= 0x10ffff) return String.fromCodePoint(code);
    valid = false;
    return '';
  });
  return valid ? value : undefined;
}
