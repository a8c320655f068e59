import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonVersion, isBelow } from '../../src/docker/api-version.ts';

describe("the version of Docker's API that is spoken", () => {
  it.each([
    [{ newest: '1.41' }, '1.41'],
    [{ newest: '1.47' }, '1.47'],
    [{ newest: '1.52', least: '1.44' }, '1.52'],
    [{ newest: '1.99', least: '1.44' }, '1.52'],
    [{ newest: '2.3', least: '1.52' }, '1.52'],
    [{ newest: '1.100' }, '1.52'],
  ])('is the lower of both sides: with an engine of %j it is %s', (offer, version) => {
    expect(commonVersion(offer)).toBe(version);
  });

  it.each([
    [{ newest: '1.40' }, /ends at version 1\.40, and registrator needs 1\.41 .* update the engine$/],
    [{ newest: '1.5' }, /ends at version 1\.5,/],
    [
      { newest: '1.99', least: '1.60' },
      /begins at version 1\.60, and registrator knows 1\.52 at most: update registrator$/,
    ],
  ])('is none for an engine of %j: a sentence has both numbers', (offer, words) => {
    expect(() => commonVersion(offer)).toThrow(words);
  });

  it('is compared by number, not by letter', () => {
    fc.assert(
      fc.property(fc.nat(999), fc.nat(999), (one, other) => {
        expect(isBelow(`1.${one}`, `1.${other}`)).toBe(one < other);
      }),
    );
    expect(isBelow('1.99', '2.0')).toBe(true);
    expect(isBelow('2.0', '1.99')).toBe(false);
  });
});
