import pRetry from 'p-retry';

/** Somebody else wrote between a look and the write that followed: to be looked at again. */
export class RaceError extends Error {
  override readonly name = 'RaceError';
}

/** Does the work again after a race, `tries` times in all, with milliseconds between. Any other error ends it. */
export function retryingAfterRaces<T>(
  tries: number,
  signal: AbortSignal,
  work: () => Promise<T>,
  isRace = (error: Error): boolean => error instanceof RaceError,
): Promise<T> {
  return pRetry(work, {
    retries: tries - 1,
    minTimeout: 5,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => isRace(error),
  });
}
