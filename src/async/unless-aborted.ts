const noop = () => undefined;

/** The outcome of the work, or the reason of the first signal that aborts; the work itself goes on unheeded. */
export function unlessAborted<T>(work: Promise<T>, ...signals: readonly AbortSignal[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const listeners = signals.map((signal) => () => reject(signal.reason));
    signals.forEach((signal, n) => {
      if (signal.aborted) reject(signal.reason);
      else signal.addEventListener('abort', listeners[n] ?? noop, { once: true });
    });
    work.then(resolve, reject).finally(() => {
      signals.forEach((signal, n) => {
        signal.removeEventListener('abort', listeners[n] ?? noop);
      });
    });
  });
}
