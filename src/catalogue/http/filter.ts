import { ApiError } from './error.ts';

/** A `filter=` expression, ready to be asked of each entry of an answer. */
export type Filter = (entry: unknown) => boolean;

type Token = { readonly kind: 'word' | 'string' | 'symbol'; readonly text: string; readonly at: number };

/** Characters of an expression, and levels of parentheses and `not`: limits against hostile queries, beyond any real one. */
const LONGEST = 2048;
const DEEPEST = 32;

/**
 * Parses a filter expression as Consul's documentation defines it ("Filtering"): `==`, `!=`, `in`, `contains`,
 * `is empty` and their `not` forms, `and`, `or`, `not`, parentheses. Selectors are the answer's own fields. Without
 * `matches`: some regular expressions never end in this engine, and they would come from whoever asks.
 *
 * @throws ApiError with the place where it is wrong
 */
export function parseFilter(text: string): Filter {
  if (text.length > LONGEST) throw new ApiError(400, `The filter is longer than ${LONGEST} characters.`);
  return new Parser(tokens(text)).parse();
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const pattern = /\s+|"((?:[^"\\]|\\.)*)"|`([^`]*)`|(==|!=|[()])|([^\s"`()=!]+)/gy;
  let at = 0;
  while (at < text.length) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) throw new ApiError(400, `The filter is wrong at character ${at + 1}.`);
    const [, quoted, raw, symbol, word] = match;
    if (quoted !== undefined) found.push({ kind: 'string', text: unquote(quoted, at), at });
    else if (raw !== undefined) found.push({ kind: 'string', text: raw, at });
    else if (symbol !== undefined) found.push({ kind: 'symbol', text: symbol, at });
    else if (word !== undefined) found.push({ kind: 'word', text: word, at });
    at = pattern.lastIndex;
  }
  return found;
}

function unquote(inner: string, at: number): string {
  try {
    return JSON.parse(`"${inner}"`) as string;
  } catch {
    throw new ApiError(400, `The filter has a string that is not quoted right at character ${at + 1}.`);
  }
}

/** A word is a selector on the left of an operator, and a value on the right; `"a" in Tags` is the other way round. */
class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(all: readonly Token[]) {
    this.#tokens = all;
  }

  parse(): Filter {
    const filter = this.#or();
    if (this.#next < this.#tokens.length) throw this.#wrong();
    return filter;
  }

  #or(): Filter {
    const left = this.#and();
    if (!this.#takeWord('or')) return left;
    const right = this.#or();
    return (entry) => left(entry) || right(entry);
  }

  #and(): Filter {
    const left = this.#not();
    if (!this.#takeWord('and')) return left;
    const right = this.#and();
    return (entry) => left(entry) && right(entry);
  }

  #not(): Filter {
    if (++this.#depth > DEEPEST) throw new ApiError(400, 'The filter is nested too deeply.');
    const filter = this.#takeWord('not') ? negated(this.#not()) : this.#factor();
    this.#depth -= 1;
    return filter;
  }

  #factor(): Filter {
    if (!this.#takeSymbol('(')) return this.#match();
    const filter = this.#or();
    if (!this.#takeSymbol(')')) throw this.#wrong();
    return filter;
  }

  #match(): Filter {
    const left = this.#take();
    if (this.#takeSymbol('==')) return equals(left, this.#value());
    if (this.#takeSymbol('!=')) return negated(equals(left, this.#value()));
    if (this.#takeWord('is')) {
      const not = this.#takeWord('not');
      if (!this.#takeWord('empty')) throw this.#wrong();
      const empty: Filter = (entry) => isEmpty(select(entry, left));
      return not ? negated(empty) : empty;
    }
    const not = this.#takeWord('not');
    const filter = this.#operator(left);
    return not ? negated(filter) : filter;
  }

  #operator(left: Token): Filter {
    if (this.#takeWord('in')) return contains(this.#take(), left.text);
    if (this.#takeWord('contains')) return contains(left, this.#value());
    if (this.#takeWord('matches')) throw new ApiError(400, 'The filter operator "matches" is not supported here.');
    throw this.#wrong();
  }

  #value(): string {
    return this.#take().text;
  }

  #take(): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined || token.kind === 'symbol') throw this.#wrong();
    this.#next += 1;
    return token;
  }

  #takeWord(word: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.#next += 1;
    return true;
  }

  #takeSymbol(symbol: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.#next += 1;
    return true;
  }

  #wrong(): ApiError {
    const token = this.#tokens[this.#next];
    return new ApiError(
      400,
      token === undefined
        ? 'The filter ends too early.'
        : `The filter is wrong at "${token.text}" (character ${token.at + 1}).`,
    );
  }
}

const negated =
  (filter: Filter): Filter =>
  (entry) =>
    !filter(entry);

function equals(selector: Token, value: string): Filter {
  return (entry) => asList(select(entry, selector)).some((found) => text(found) === value);
}

/** A member of a list, a key of a map, or a part of a text. */
function contains(selector: Token, value: string): Filter {
  return (entry) =>
    asList(select(entry, selector)).some((found) => {
      if (typeof found === 'string') return found.includes(value);
      if (Array.isArray(found)) return found.some((item) => text(item) === value);
      return typeof found === 'object' && found !== null && Object.hasOwn(found, value);
    });
}

/** What lists gave on the way to the selected field; equality asks whether any of them is equal, as Consul does. */
class Several {
  readonly values: readonly unknown[];
  constructor(values: readonly unknown[]) {
    this.values = values;
  }
}

const asList = (found: unknown): readonly unknown[] => (found instanceof Several ? found.values : [found]);

function select(entry: unknown, { text: selector, kind }: Token): unknown {
  if (kind !== 'word') throw new ApiError(400, `The filter has "${selector}" where a field's name belongs.`);
  const path = selector.split('.');
  const [first = ''] = path;
  if (typeof entry !== 'object' || entry === null || !Object.hasOwn(entry, first)) {
    throw new ApiError(400, `Selector "${selector}" is not valid`);
  }
  return descend(entry, path);
}

function descend(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(value)) return new Several(value.flatMap((item) => asList(descend(item, path))));
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return descend((value as Record<string, unknown>)[key], rest);
}

function isEmpty(found: unknown): boolean {
  if (found instanceof Several) return found.values.length === 0;
  if (found === undefined || found === null || found === '') return true;
  return typeof found === 'object' && Object.keys(found).length === 0;
}

const text = (value: unknown) => (value === undefined || value === null ? undefined : String(value));
