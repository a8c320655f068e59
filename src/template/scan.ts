import { TemplateSyntaxError } from './syntax.ts';

export interface Token {
  readonly kind: 'text' | 'open' | 'close' | 'word' | 'field' | 'variable' | 'string' | 'number' | 'mark' | 'end';
  /** As written, quotes and dots included; text without what trim markers take away. */
  readonly text: string;
  /** Offset in the template. */
  readonly at: number;
  /** Whether nothing stands between it and the token before. */
  readonly adjacent: boolean;
}

const BLANK = /[ \t\r\n]+/y;
const OPEN = /\{\{(-(?=[ \t\r\n]))?/g;
const COMMENT = /[ \t\r\n]*\/\*.*?\*\/(?:[ \t\r\n]+(-))?\}\}/sy;
const CLOSE = /[ \t\r\n]+(-)\}\}|[ \t\r\n]*\}\}/y;
const TOKENS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['number', /[+-]?(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)(?![\p{L}\d_])/uy],
  ['field', /\.[\p{L}_][\p{L}\d_]*/uy],
  ['variable', /\$[\p{L}\d_]*/uy],
  ['word', /[\p{L}_][\p{L}\d_]*/uy],
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*'/y],
  ['mark', /:=|[=|(),.]/y],
];

/** The tokens of a template, one `end` last. @throws TemplateSyntaxError */
export function scan(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    OPEN.lastIndex = at;
    const open = OPEN.exec(source);
    pushText(source.slice(at, open?.index), open?.[1] !== undefined);
    if (open === null) break;
    at = OPEN.lastIndex;
    trimNext = scanAction(open.index);
  }
  tokens.push({ kind: 'end', text: '', at: source.length, adjacent: false });
  return tokens;

  function pushText(text: string, trimEnd: boolean): void {
    const trimmed = trimNext ? text.trimStart() : text;
    const rest = trimEnd ? trimmed.trimEnd() : trimmed;
    if (rest !== '') tokens.push({ kind: 'text', text: rest, at, adjacent: false });
  }

  /** @returns whether the text after it is to be trimmed */
  function scanAction(start: number): boolean {
    const comment = match(COMMENT);
    if (comment !== undefined) return comment[1] !== undefined;
    tokens.push({ kind: 'open', text: '{{', at: start, adjacent: false });
    for (;;) {
      const close = match(CLOSE);
      if (close !== undefined) {
        tokens.push({ kind: 'close', text: '}}', at: at - 2, adjacent: false });
        return close[1] !== undefined;
      }
      const adjacent = match(BLANK) === undefined;
      if (at >= source.length) throw new TemplateSyntaxError(start, 'the action {{ is not closed by }}');
      tokens.push(scanToken(adjacent));
    }
  }

  function scanToken(adjacent: boolean): Token {
    const from = at;
    for (const [kind, pattern] of TOKENS) {
      const text = match(pattern)?.[0];
      if (text === undefined) continue;
      return { kind, text, at: from, adjacent };
    }
    const character = String.fromCodePoint(source.codePointAt(from) ?? 0);
    if (/["'`]/.test(character)) throw new TemplateSyntaxError(from, `the quote ${character} is not closed`);
    throw new TemplateSyntaxError(from, `${JSON.stringify(character)} has no meaning`);
  }

  function match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    if (found === null) return undefined;
    at = pattern.lastIndex;
    return found;
  }
}
