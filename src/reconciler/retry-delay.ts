import { backoff } from '../lib/backoff.ts';
import type { RetryDelay } from '../lib/work-queue.ts';
import { RefusedError } from '../registries/index.ts';

/** What a registry refuses it will mostly refuse again: that is retried slowly, the rest soon. */
export const retryDelay: RetryDelay = (failures, error) =>
  error instanceof RefusedError ? backoff(failures, 30_000, 600_000) : backoff(failures, 250, 60_000);
