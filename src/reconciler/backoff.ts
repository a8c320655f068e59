import { RefusedError } from '../registries/index.ts';
import type { RetryDelay } from './queue.ts';

/**
 * Exponential backoff with full jitter in its upper half: attempt 1 waits 0.5 to 1 times `minMs`, each later one about
 * twice as long as the one before, up to `maxMs`.
 */
export function backoff(attempt: number, minMs: number, maxMs: number): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30));
  return ceiling * (0.5 + Math.random() / 2);
}

/** What a registry refuses it will mostly refuse again: that is retried slowly, the rest soon. */
export const retryDelay: RetryDelay = (failures, error) =>
  error instanceof RefusedError ? backoff(failures, 30_000, 600_000) : backoff(failures, 250, 60_000);
