import { describe, expect, it } from 'vitest';
import { retryDelay } from '../../src/reconciler/retry-delay.ts';
import { ForbiddenError, RefusedError } from '../../src/registries/index.ts';

describe('retryDelay', () => {
  it('comes back to a refused service after 15 s at the least, to any other failure within 250 ms', () => {
    expect(retryDelay(1, new RefusedError('no'))).toBeGreaterThanOrEqual(15_000);
    expect(retryDelay(9, new ForbiddenError('not yet'))).toBeLessThanOrEqual(60_000);
    expect(retryDelay(1, new Error('away'))).toBeLessThanOrEqual(250);
  });
});
