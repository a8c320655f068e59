import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration } from '../../src/services/duration.ts';

describe('a duration', () => {
  test.each([
    ['10s', 10_000_000_000n],
    ['1m30s', 90_000_000_000n],
    ['1.5h', 5_400_000_000_000n],
    ['100ms', 100_000_000n],
    ['.5s', 500_000_000n],
    ['1.s', 1_000_000_000n],
    ['1us1µs1μs1ns', 3_001n],
    ['-3ms', -3_000_000n],
    ['+3ms', 3_000_000n],
    ['0', 0n],
    ['-0', 0n],
    ['0s', 0n],
    ['1.9ns', 1n],
    ['2562047h47m16.854775807s', 9_223_372_036_854_775_807n],
  ])('%s', (text, nanoseconds) => {
    expect(parseDuration(text)).toBe(nanoseconds);
  });

  test.each([
    '',
    '10',
    '1d',
    '1 s',
    ' 1s',
    '1s ',
    '1S',
    's',
    '.s',
    '1..5s',
    '--1s',
    '+',
    '1e3s',
    '٣s',
    '2562048h',
    '1s\n',
    `${'1'.repeat(101)}ns`,
  ])('not %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test('of any whole parts is their sum (property)', () => {
    const part = fc.tuple(
      fc.nat(1000),
      fc.constantFrom(['h', 3_600_000] as const, ['m', 60_000] as const, ['s', 1000] as const, ['ms', 1] as const),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 10 }), (parts) => {
        const text = parts.map(([count, [unit]]) => `${count}${unit}`).join('');
        const milliseconds = parts.reduce((sum, [count, [, scale]]) => sum + count * scale, 0);
        expect(parseDuration(text)).toBe(BigInt(milliseconds) * 1_000_000n);
      }),
    );
  });

  test('any text is one or is none, and never an error (property)', () => {
    fc.assert(fc.property(fc.string(), (text) => ['bigint', 'undefined'].includes(typeof parseDuration(text))));
  });
});
