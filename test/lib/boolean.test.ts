import { expect, test } from 'vitest';
import { parseBoolean } from '../../src/lib/boolean.ts';

test.each(['1', 't', 'T', 'true', 'True', 'TRUE', 'yes', 'on'])('%j is true', (text) => {
  expect(parseBoolean(text)).toBe(true);
});

test.each(['0', 'f', 'F', 'false', 'False', 'FALSE', 'no', 'off'])('%j is false', (text) => {
  expect(parseBoolean(text)).toBe(false);
});

test.each(['', ' ', 'truee', '2', 'true\n', 'maybe'])('%j is neither', (text) => {
  expect(parseBoolean(text)).toBeUndefined();
});
