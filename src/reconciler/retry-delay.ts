import { backoff } from '../lib/backoff.ts';
import type { RetryDelay } from '../lib/work-queue.ts';
import { ForbiddenError, RefusedError } from '../registries/index.ts';

/** What a registry refuses it will mostly refuse again: that is retried slowly, the rest soon. */
export const retryDelay: RetryDelay = (failures, error) => {
  if (error instanceof ForbiddenError) return backoff(failures, 5_000, 60_000);
  return error instanceof RefusedError ? backoff(failures, 30_000, 600_000) : backoff(failures, 250, 60_000);
};
