import { Axios, type AxiosRequestConfig, type AxiosResponse, isAxiosError, isCancel } from 'axios';
import { axiosAdapter } from './axios-adapter.ts';
import { HttpStatusError } from './http-status-error.ts';
import { type Destination, Transport } from './transport.ts';

/** Where an HTTP server is, and what every request to it has. */
export interface HttpTarget extends Destination {
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers with a secret, asked for anew at each request: the file that it is in may have been replaced. */
  readonly credentials?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** Milliseconds for a whole request; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Bytes of an answer; 256 MiB by default: ten times what ten thousand containers take. */
  readonly maxBytes?: number;
}

/**
 * Axios for one server, over a transport of its own. Each call has a `signal`. It rejects with HttpStatusError for a status
 * that `validateStatus` does not take (300 or more, where nothing else is said), with the signal's reason after an abort,
 * and with an Error that holds nothing of the URL when there was no answer.
 *
 * It extends axios's class, and does not come from `axios.create`, because the defaults that this brings are copied for
 * each request, as are a body and parameters that are no text yet; and axios tidies the headers once more for each function
 * that makes a body text, or reads one: together two thirds of what it costs.
 */
export class HttpClient extends Axios {
  readonly #transport: Transport;

  constructor({ headers, credentials, timeoutMs = 10_000, maxBytes = 2 ** 28, ...destination }: HttpTarget) {
    const transport = new Transport(destination);
    super({
      ...(destination.baseUrl !== undefined && { baseURL: destination.baseUrl }),
      adapter: axiosAdapter(transport),
      headers: { ...headers } as never,
      timeout: timeoutMs,
      maxContentLength: maxBytes,
      validateStatus: (status) => status < 300,
    });
    this.#transport = transport;
    if (credentials !== undefined) {
      this.interceptors.request.use(async (config) => {
        config.headers.set(await credentials());
        return config;
      });
    }
    this.interceptors.response.use(undefined, (error: unknown) => {
      throw plain(error);
    });
  }

  override request<T = unknown, R = AxiosResponse<T>>(config: AxiosRequestConfig): Promise<R> {
    const { data, params, headers } = config;
    return super.request<T, AxiosResponse<T>>({
      ...config,
      ...(params !== undefined && { params: new URLSearchParams(params) }),
      ...(data !== undefined && {
        data: written(data),
        headers: { 'Content-Type': typeOf(data), ...headers } as never,
      }),
    }) as Promise<R>;
  }

  /** Resolves when the server closes a connection that was kept alive: it may have restarted. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#transport.lost(signal);
  }

  /** Ends what is under way; later calls reject. */
  close(): void {
    this.#transport.close();
  }
}

/** What callers have to know of axios's errors, without the request, which may hold a token. */
function plain(error: unknown): unknown {
  if (!isAxiosError(error)) return error;
  if (error.response !== undefined) return new HttpStatusError(error.response.status, error.response.data);
  const signal = error.config?.signal as AbortSignal | undefined;
  return isCancel(error) && signal?.aborted ? signal.reason : new Error(error.message);
}

const isForm = (data: unknown) => data instanceof URLSearchParams;
const typeOf = (data: unknown) => (isForm(data) ? 'application/x-www-form-urlencoded' : 'application/json');
const written = (data: unknown) => (isForm(data) ? String(data) : JSON.stringify(data));
