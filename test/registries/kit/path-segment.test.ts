import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeSegment, encodeSegment } from '../../../src/registries/kit/path-segment.ts';

describe('one part of a path', () => {
  test.each(['web', 'node1:redis:6379', 'web-80', 'a b', '::1:80', 'x.y_z', '...', '名前', 'a?b#c'])(
    'leaves %j as it is',
    (text) => {
      expect(encodeSegment(text)).toBe(text);
    },
  );

  test.each([
    ['', '%'],
    ['.', '%2E'],
    ['..', '%2E%2E'],
    ['a/b', 'a%2Fb'],
    ['50%', '50%25'],
    ['a\nb', 'a%0Ab'],
    ['😀', '%F0%9F%98%80'],
    ['\ud800', '%uD800'],
    ['\ue000', '%EE%80%80'],
  ])('writes %j as %s', (text, segment) => {
    expect(encodeSegment(text)).toBe(segment);
    expect(decodeSegment(segment)).toBe(text);
  });

  test('comes back as it was, whatever it was, and never alters the path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const segment = encodeSegment(text);
        expect(decodeSegment(segment)).toBe(text);
        expect(segment).not.toMatch(/^\.{0,2}$|[/\p{Cc}\ud800-\uf8ff\ufff0-\uffff\u{10000}-\u{10ffff}]/u);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(['a%2fb', '%', '%%', '%zz', '%2', 'a%41', '%ff'])('what it would not write, %j, stays', (segment) => {
    expect(decodeSegment(segment)).toBe(segment === '%' ? '' : segment);
  });
});
