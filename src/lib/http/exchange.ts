import type { Dispatcher } from 'undici';

export interface Limits {
  /** Milliseconds for all of it. */
  readonly timeoutMs: number;
  /** Bytes of the answer. */
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/**
 * One request with its whole answer. It stands on undici's `dispatch`, for its `request` makes a stream and an abort
 * signal for each: at ten thousand containers these cost as much as all the rest of an inspection.
 *
 * @throws the signal's reason; "no answer in time", or "the answer is too long"; undici's own errors
 */
export function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  { timeoutMs, maxBytes }: Limits,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let failure: Error | undefined;
    let status = 0;
    let headers: Answer['headers'] = {};
    let bytes = 0;
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
      onResponseStart(_, statusCode, received) {
        status = statusCode;
        headers = received;
      },
      onResponseData(_, chunk) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > maxBytes) giveUp(new Error('the answer is too long'));
      },
      onResponseEnd() {
        settle();
        const [first] = chunks;
        const body = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks);
        resolve({ status, headers, text: body.toString() });
      },
      onResponseError(_, error) {
        settle();
        reject(error);
      },
    });
  });
}
