import { matching } from './regex.ts';
import { EvaluationError } from './syntax.ts';
import { type Functions, integerOf, isObject, kindOf, textOf, textsOf, type Value } from './values.ts';

/**
 * The functions that gliderlabs/registrator v7.4 gave to `--tags`, with its order of arguments (what is worked on comes
 * last, for pipelines) and its answers to what is out of range.
 */
export const registratorFunctions: Functions = {
  strSlice: { takes: [1, 3], run: ([text, ...range]) => strSlice(textOf(text, 'the text'), range) },
  sIndex: { takes: [2, 2], run: ([index, list]) => element(integerOf(index, 'the index'), textsOf(list, 'the list')) },
  mIndex: { takes: [2, 2], run: ([key, map]) => mapped(textOf(key, 'the key'), map) },
  toUpper: { takes: [1, 1], run: ([text]) => textOf(text, 'the text').toUpperCase() },
  toLower: { takes: [1, 1], run: ([text]) => textOf(text, 'the text').toLowerCase() },
  replace: {
    takes: [4, 4],
    run: ([count, from, to, text], { budget }) => {
      const old = textOf(from, 'what is replaced');
      // Go finds an empty text before every character and at the end.
      const parts = old === '' ? ['', ...textOf(text, 'the text'), ''] : split(old, text);
      const replacement = textOf(to, 'the replacement');
      budget.spend(parts.length);
      budget.spendText(String(text).length + parts.length * replacement.length);
      return replaced(integerOf(count, 'the count'), parts, old, replacement);
    },
  },
  join: {
    takes: [2, 2],
    run: ([separator, list], { budget }) => {
      const texts = textsOf(list, 'the list');
      const between = textOf(separator, 'the separator');
      budget.spendText(texts.reduce((sum, text) => sum + text.length + between.length, 0));
      return texts.join(between);
    },
  },
  split: { takes: [2, 2], run: ([separator, text]) => split(separator, text) },
  splitIndex: {
    takes: [3, 3],
    run: ([index, separator, text]) => element(integerOf(index, 'the index'), split(separator, text)),
  },
  matchFirstElement: {
    takes: [2, 2],
    run: ([regex, list], { budget }) =>
      matching(textOf(regex, 'the regular expression'), textsOf(list, 'the list'), budget)[0] ?? '',
  },
  matchAllElements: {
    takes: [2, 2],
    run: ([regex, list], { budget }) =>
      matching(textOf(regex, 'the regular expression'), textsOf(list, 'the list'), budget),
  },
  httpGet: { takes: [1, 1], run: ([url], { httpGet }) => httpGet(textOf(url, 'the URL')) },
  jsonParse: {
    takes: [2, 2],
    run: ([body, path], { budget }) => {
      const json = textOf(body, 'the JSON');
      budget.spend(json.length / 8);
      return jsonParse(json, textOf(path, 'the path'));
    },
  },
};

/** Counts bytes, as Go does. One index cuts the beginning off; what is out of range leaves the text as it is. */
function strSlice(text: string, range: readonly Value[]): string {
  const bytes = Buffer.from(text);
  const [from = 0, to] = range.map((index) => integerOf(index, 'an index of strSlice'));
  if (from < 0 || (to !== undefined && to < 0)) throw new EvaluationError('strSlice takes no negative index');
  if (range.length === 0 || bytes.length < Math.max(from, to ?? 0)) return text;
  return bytes.subarray(from, to === undefined || to < from ? undefined : to).toString();
}

/** A negative index counts from the end; beyond either end is that end. */
function element(index: number, list: readonly string[]): string {
  const found = list[index < 0 ? Math.max(0, list.length + index) : Math.min(index, list.length - 1)];
  if (found === undefined) throw new EvaluationError('the list has no elements');
  return found;
}

function mapped(key: string, map: Value): Value {
  if (map === null || map === undefined) return '';
  if (!isObject(map)) throw new EvaluationError(`the map is ${kindOf(map)}`);
  return Object.hasOwn(map, key) ? map[key] : '';
}

function split(separator: Value, text: Value): readonly string[] {
  const between = textOf(separator, 'the separator');
  return between === '' ? [...textOf(text, 'the text')] : textOf(text, 'the text').split(between);
}

/** Puts the parts together again with the first so many seams replaced; all of them where the count is negative. */
function replaced(count: number, parts: readonly string[], from: string, to: string): string {
  const most = count < 0 ? parts.length : count;
  return parts.map((part, seam) => (seam === 0 ? part : (seam <= most ? to : from) + part)).join('');
}

/**
 * The value at a path of `::` separated keys, `[n]` for an element of an array, as buger/jsonparser finds it: a text
 * without its quotes, anything else as JSON; empty where there is none.
 */
function jsonParse(body: string, path: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return '';
  }
  for (const key of path.split('::')) {
    const [, index] = /^\[(\d+)\]$/.exec(key) ?? [];
    if (Array.isArray(value)) value = index === undefined ? undefined : value[Number(index)];
    else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
