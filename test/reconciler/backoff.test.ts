import { describe, expect, it } from 'vitest';
import { backoff, retryDelay } from '../../src/reconciler/backoff.ts';
import { RefusedError } from '../../src/registries/index.ts';

describe('backoff', () => {
  it.each([
    [1, 50, 100],
    [2, 100, 200],
    [4, 400, 800],
    [50, 500, 1000],
  ])('attempt %i of 100 to 1000 ms waits %i to %i ms', (attempt, least, most) => {
    for (let n = 0; n < 100; n += 1) {
      const delay = backoff(attempt, 100, 1000);
      expect(delay).toBeGreaterThanOrEqual(least);
      expect(delay).toBeLessThanOrEqual(most);
    }
  });

  it('comes back to a refused service after 15 s at the least, to any other failure within 250 ms', () => {
    expect(retryDelay(1, new RefusedError('no'))).toBeGreaterThanOrEqual(15_000);
    expect(retryDelay(1, new Error('away'))).toBeLessThanOrEqual(250);
  });
});
