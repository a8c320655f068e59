import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { needsShell, shellWords } from '../../src/services/words.ts';

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

describe('a shell is needed', () => {
  test.each([
    'curl -s localhost | grep -q ok',
    'true && false',
    'true||false',
    'echo x >/dev/null',
    'wc -l <f',
    'a; b',
    'a & ',
    '(a)',
    'test -e /run/*.pid',
    'ls a?',
    'ls [ab]',
    'test `id -u` = 0',
    'test $(id -u) = 0',
    'curl -s http://h/health&&echo',
    'curl -s http://h/health|cat',
    `echo 'a b'|cat`,
  ])('for %s', (line) => {
    expect(needsShell(line)).toBe(true);
  });

  test.each([
    '',
    'nc -z $SERVICE_IP $SERVICE_PORT',
    `grep 'a|b' "c&&d" e\\;f`,
    'sh -c "curl -s localhost | grep -q ok"',
    'curl -f http://$SERVICE_IP:$SERVICE_PORT/health?full=1&from=consul',
    `find / -name '*.pid'`,
  ])('not for %s', (line) => {
    expect(needsShell(line)).toBe(false);
  });

  test('by every line whose words a real shell reads in another way (property)', () => {
    const word = fc.oneof(
      fc.stringMatching(/^[a-z0-9=./:@%+,_-]+$/),
      fc.string().map((text) => `'${text.replaceAll(/['\0\n]/g, '')}'`),
      fc.stringMatching(/^[a-z |&;<>()*?[\]]*$/).map((text) => `"${text}"`),
      fc.constantFrom('|', '&&', '>', ';', '*', '\\|', 'a\\;b', '$(id)', '`id`', '/*', '(', '[a-z]'),
    );
    const line = fc.array(fc.tuple(word, fc.constantFrom('', ' ', '\t')), { minLength: 1, maxLength: 6 });
    const lines = fc
      .sample(line, { numRuns: 300, seed: 14 })
      .map((parts) => parts.map((part) => part.join('')).join(''));
    const simple = lines.filter((text) => !needsShell(text));
    expect(simple.length).toBeGreaterThan(30);
    expect(simple.length).toBeLessThan(lines.length - 30);
    const script = simple.map((text) => `set -- ${text}\nfor word do printf '%s\\0' "$word"; done; printf '\\1\\0'\n`);
    const read = execFileSync('sh', ['-c', script.join('')], { encoding: 'utf8' });
    const byShell = read
      .split('\x01\0')
      .slice(0, -1)
      .map((words) => words.split('\0').slice(0, -1));
    expect(simple.map((text) => shellWords(text))).toEqual(byShell);
  });
});
