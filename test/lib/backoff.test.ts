import { describe, expect, it } from 'vitest';
import { backoff } from '../../src/lib/backoff.ts';

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
});
