import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellWords } from '../../src/services/words.ts';

test.each<[string, readonly string[]]>([
  ['', []],
  [' \t\n ', []],
  ['nc -z host 80', ['nc', '-z', 'host', '80']],
  ['sh -c \'a b\' "c d"', ['sh', '-c', 'a b', 'c d']],
  ['a"b"\'c\'d', ['abcd']],
  ['"" \'\' x', ['', '', 'x']],
  ['a\\ b \\"c', ['a b', '"c']],
  ['"a\\"b" "\\$x \\`y \\\\ \\n"', ['a"b', '$x `y \\ \\n']],
  ["'a\\b'", ['a\\b']],
  ['a\\\nb "c\\\nd" \\\n e', ['ab', 'cd', 'e']],
  ['a|b && c > d; # e * $HOME ~ `f`', ['a|b', '&&', 'c', '>', 'd;', '#', 'e', '*', '$HOME', '~', '`f`']],
  ['end\\', ['end\\']],
])('%j', (line, words) => {
  expect(shellWords(line)).toEqual(words);
});

test.each(["'a", '"a', 'x "a\\"', `"'`])('%j has an open quote', (line) => {
  expect(shellWords(line)).toBeUndefined();
});

test('quoted words come out as they went in (property)', () => {
  const single = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
  const double = (word: string) => `"${word.replace(/[$`"\\]/g, '\\$&')}"`;
  const quoted = fc.tuple(fc.string(), fc.constantFrom(single, double));
  fc.assert(
    fc.property(fc.array(quoted), (words) => {
      expect(shellWords(words.map(([word, quote]) => quote(word)).join(' '))).toEqual(words.map(([word]) => word));
    }),
  );
});
