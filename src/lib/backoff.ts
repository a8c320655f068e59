/**
 * Milliseconds to wait after a failure: exponential backoff with jitter. Attempt 1 waits between half of `minMs` and
 * `minMs`; each later one about twice as long as the one before, up to `maxMs`.
 */
export function backoff(attempt: number, minMs: number, maxMs: number): number {
  const ceiling = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30));
  return ceiling * (0.5 + Math.random() / 2);
}
