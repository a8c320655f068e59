/**
 * Aborts the work where it takes longer than so many milliseconds, with "no answer in time". Leaves no timer behind, as
 * AbortSignal.timeout would: at a thousand calls a second those hold memory.
 */
export async function inTime<T>(
  milliseconds: number,
  signal: AbortSignal,
  work: (abort: AbortSignal) => Promise<T>,
): Promise<T> {
  const unanswered = new AbortController();
  const timer = setTimeout(() => unanswered.abort(new Error('no answer in time')), milliseconds);
  try {
    return await work(AbortSignal.any([signal, unanswered.signal]));
  } finally {
    clearTimeout(timer);
  }
}
