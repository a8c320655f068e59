import { printf } from './printf.ts';
import { EvaluationError } from './syntax.ts';
import {
  type Environment,
  type Functions,
  integerOf,
  isObject,
  isTrue,
  keysOf,
  kindOf,
  print,
  type Value,
} from './values.ts';

const ANY = Number.POSITIVE_INFINITY;

/** Go's text/template's own, but for `call`; `and` and `or` stop early and are the evaluator's. */
export const builtinFunctions: Functions = {
  not: { takes: [1, 1], run: ([value], env) => !isTrue(value, env) },
  eq: { takes: [2, ANY], run: ([value, ...others]) => others.some((other) => order(value, other) === 0) },
  ne: { takes: [2, 2], run: ([a, b]) => order(a, b) !== 0 },
  lt: { takes: [2, 2], run: ([a, b]) => order(a, b, true) < 0 },
  le: { takes: [2, 2], run: ([a, b]) => order(a, b, true) <= 0 },
  gt: { takes: [2, 2], run: ([a, b]) => order(a, b, true) > 0 },
  ge: { takes: [2, 2], run: ([a, b]) => order(a, b, true) >= 0 },
  len: { takes: [1, 1], run: ([value], env) => length(value, env) },
  index: { takes: [1, ANY], run: ([value, ...keys]) => keys.reduce(at, value) },
  slice: { takes: [1, 3], run: ([value, ...range]) => slice(value, range) },
  print: { takes: [0, ANY], run: (values, env) => sprint(values, env) },
  println: { takes: [0, ANY], run: (values, env) => `${values.map((value) => print(value, env)).join(' ')}\n` },
  printf: { takes: [1, ANY], run: ([format, ...values], env) => printf(format, values, env) },
  html: {
    takes: [0, ANY],
    run: (values, env) => escaped(values, env, /[&<>"'\0]/g, (character) => HTML[character] ?? '\ufffd'),
  },
  js: { takes: [0, ANY], run: (values, env) => escaped(values, env, /[\\'"<>&=\p{Cc}]/gu, jsEscape) },
  urlquery: {
    takes: [0, ANY],
    run: (values, env) =>
      escaped([encodeURIComponent(sprint(values, env).toWellFormed())], env, /%20|[!'()*]/g, (character) =>
        character === '%20' ? '+' : `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
  },
};

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };

function escaped(values: readonly Value[], env: Environment, characters: RegExp, by: (character: string) => string) {
  const text = sprint(values, env);
  // A call for each character, at worst.
  env.budget.spend(text.length / 4);
  return text.replace(characters, (character) => by(character));
}

function jsEscape(character: string): string {
  if ('\\\'"'.includes(character)) return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** Below 0, 0 or above 0, as a is before, equal to or behind b. Texts go by their code points. */
function order(a: Value, b: Value, ordered = false): number {
  const comparable = ['string', 'number', ...(ordered ? [] : ['boolean'])];
  // A label that is missing equals nothing else, and is no fault.
  if (!ordered && (a === undefined || b === undefined || a === null || b === null))
    return (a ?? null) === (b ?? null) ? 0 : 1;
  if (typeof a !== typeof b || !comparable.includes(typeof a)) {
    throw new EvaluationError(`${kindOf(a)} and ${kindOf(b)} cannot be compared`);
  }
  if (typeof a === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(String(b)));
  return Number(a) - Number(b);
}

function length(value: Value, env: Environment): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (isObject(value)) return keysOf(value, env).length;
  throw new EvaluationError(`${kindOf(value)} has no length`);
}

/** An element. A key that a map lacks gives empty text; beyond a list's ends is a fault. */
function at(value: Value, key: Value): Value {
  if (value === null || value === undefined) return '';
  if (isObject(value)) {
    if (typeof key !== 'string') throw new EvaluationError(`the key of a map has to be text and is ${kindOf(key)}`);
    return Object.hasOwn(value, key) ? value[key] : '';
  }
  if (!Array.isArray(value) && typeof value !== 'string') throw new EvaluationError(`${kindOf(value)} has no elements`);
  const list: ArrayLike<Value> = typeof value === 'string' ? Buffer.from(value) : value;
  const position = integerOf(key, 'the index');
  if (position < 0 || position >= list.length) throw new EvaluationError(`the index ${position} is out of range`);
  return list[position];
}

function slice(value: Value, range: readonly Value[]): Value {
  const list = typeof value === 'string' ? Buffer.from(value) : value;
  if (!Array.isArray(list) && !Buffer.isBuffer(list)) throw new EvaluationError(`${kindOf(value)} cannot be sliced`);
  const [from = 0, to = list.length] = range.map((index) => integerOf(index, 'an index of slice'));
  if (from < 0 || to < from || to > list.length)
    throw new EvaluationError(`the slice ${from} to ${to} is out of range`);
  return Buffer.isBuffer(list) ? list.subarray(from, to).toString() : list.slice(from, to);
}

/** As Go's fmt.Sprint: a blank between two operands of which neither is text. */
function sprint(values: readonly Value[], env: Environment): string {
  let text = '';
  for (const [index, value] of values.entries()) {
    const blank = index > 0 && typeof value !== 'string' && typeof values[index - 1] !== 'string';
    text += (blank ? ' ' : '') + print(value, env);
    env.budget.spendText(text.length);
  }
  return text;
}
