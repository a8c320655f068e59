import { expect, test } from 'vitest';
import { cutFields, cutSentence } from '../../../src/lib/log/cut.ts';

test('a value is cut at 200 characters, and says how long it is', () => {
  const service = 'x'.repeat(1_000_000);
  expect(cutFields({ service, port: 80, id: 'y'.repeat(200) })).toEqual({
    service: `${'x'.repeat(200)}… (1000000 characters)`,
    port: 80,
    id: 'y'.repeat(200),
  });
});

test('a list shows ten values, each cut', () => {
  const containers = Array.from({ length: 200 }, (_, index) => `${index}${'z'.repeat(300)}`);
  const { containers: shown } = cutFields({ containers }) as { containers: string[] };
  expect(shown).toHaveLength(11);
  expect(shown[0]).toBe(`0${'z'.repeat(199)}… (301 characters)`);
  expect(shown[10]).toBe('and 190 more');
});

test('a sentence has room for several values', () => {
  expect(cutSentence('a'.repeat(1_000))).toBe('a'.repeat(1_000));
  expect(cutFields({ err: 'a'.repeat(1_001) })).toEqual({ err: `${'a'.repeat(1_000)}… (1001 characters)` });
});
