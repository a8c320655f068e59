/**
 * Settles as the work does, or rejects with the reason of the first signal that aborts. The work is not stopped by that:
 * it runs on, and nobody sees its outcome. Leaves no listener on the signals.
 */
export async function unlessAborted<T>(work: Promise<T>, ...signals: readonly AbortSignal[]): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const listeners = signals.map((signal) => {
    const listener = () => aborted.reject(signal.reason);
    if (signal.aborted) listener();
    else signal.addEventListener('abort', listener, { once: true });
    return listener;
  });
  try {
    return await Promise.race([aborted.promise, work]);
  } finally {
    for (const [n, listener] of listeners.entries()) signals[n]?.removeEventListener('abort', listener);
  }
}
