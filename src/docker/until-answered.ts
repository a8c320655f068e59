import pRetry, { type RetryContext } from 'p-retry';

/** Tries until Docker answers, however long that takes, a little less often each time. Rejects on abort only. */
export function untilAnswered<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  onFailure: (failure: RetryContext) => void,
): Promise<T> {
  return pRetry(work, {
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 250,
    maxTimeout: 5_000,
    randomize: true,
    signal,
    onFailedAttempt: onFailure,
  });
}
