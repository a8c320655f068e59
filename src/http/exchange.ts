import type { Dispatcher } from 'undici';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * One request with its whole answer. It stands on undici's `dispatch`, for its `request` makes a stream and an abort
 * signal for each: at ten thousand containers these cost as much as all the rest of an inspection.
 *
 * @throws the signal's reason; "no answer in time" after so many milliseconds; undici's own errors
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let failure: Error | undefined;
    let status = 0;
    const chunks: Buffer[] = [];
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const giveUp = (error: Error) => {
      settle();
      failure = error;
      controller?.abort(error);
      reject(error);
    };
    const timer = setTimeout(() => giveUp(new Error('no answer in time')), timeoutMs);
    const onAbort = () => giveUp(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    dispatcher.dispatch(request, {
      onRequestStart(started) {
        controller = started;
        // It waited for a connection when it was given up.
        if (failure !== undefined) started.abort(failure);
      },
      onResponseStart(_, statusCode) {
        status = statusCode;
      },
      onResponseData(_, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        settle();
        const [first] = chunks;
        const body = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks);
        resolve({ status, text: body.toString() });
      },
      onResponseError(_, error) {
        settle();
        reject(error);
      },
    });
  });
}
