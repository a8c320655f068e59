import { expect, test } from 'vitest';
import { FairSet } from '../../src/lib/fair-set.ts';

const set = (...keys: string[]) => {
  const fair = new FairSet((key) => key.charAt(0));
  for (const key of keys) fair.add(key);
  return fair;
};

test('groups take turns, and each gives its oldest key', () => {
  const fair = set('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1');
  expect(fair.take(2)).toEqual(['a1', 'b1']);
  expect(fair.take(3)).toEqual(['c1', 'a2', 'b2']);
  expect(fair.take(9)).toEqual(['a3', 'a4']);
  expect(fair.size).toBe(0);
});

test('one that comes with a thousand keys delays the next group by one', () => {
  const fair = set(...Array.from({ length: 1_000 }, (_, index) => `a${index}`));
  expect(fair.take(1)).toEqual(['a0']);
  fair.add('b0');
  expect(fair.take(2)).toEqual(['a1', 'b0']);
});

test('a key is in it once', () => {
  const fair = set('a1', 'a1');
  expect([fair.size, fair.has('a1'), fair.take(5), fair.has('a1')]).toEqual([1, true, ['a1'], false]);
});
