import { errors, Pool } from 'undici';
import { inTime } from '../in-time.ts';
import { Losses } from './losses.ts';

/** Where an HTTP registry is, and how to speak to it. */
export interface HttpTarget {
  /** `http://host:port` or `https://host:port`, without a trailing slash; with `socketPath` the host is only a name. */
  readonly baseUrl: string;
  readonly socketPath?: string;
  readonly tls?: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly rejectUnauthorized?: boolean;
  };
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds for a whole request; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Connections at once; 16 by default. */
  readonly maxSockets?: number;
}

export interface HttpRequest {
  readonly body?: unknown;
  readonly params?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** The server answered, with a status of 300 or more. `message` is the server's own words, cut to 500 characters. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';
  readonly status: number;
  readonly data: unknown;

  constructor(status: number, data: unknown) {
    const text = typeof data === 'string' ? data : JSON.stringify(data ?? '');
    super(`HTTP ${status}: ${text.trim().slice(0, 500) || 'no reason given'}`);
    this.status = status;
    this.data = data;
  }
}

/** Milliseconds that an idle connection is kept: long, since its end is how a restart of the server is noticed. */
const KEEP_ALIVE = 600_000;
const CONNECT_TIMEOUT = 5_000;
/** Since TLS 1.3 a server says only after the handshake that it does not like the client's certificate, and then hangs up. */
const TLS_ENDED = 'the server ended the TLS connection; does it ask for another client certificate?';

/** A keep-alive HTTP client for one server that notices when the server drops its connections. */
export class HttpClient {
  readonly #pool: Pool;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #secure: boolean;
  readonly #losses = new Losses();
  #closed = false;

  constructor({ baseUrl, socketPath, tls, headers = {}, timeoutMs = 10_000, maxSockets = 16 }: HttpTarget) {
    this.#headers = headers;
    this.#timeoutMs = timeoutMs;
    this.#secure = baseUrl.startsWith('https:');
    this.#pool = new Pool(baseUrl, {
      connections: maxSockets,
      keepAliveTimeout: KEEP_ALIVE,
      keepAliveMaxTimeout: KEEP_ALIVE,
      connect: { ...tls, timeout: CONNECT_TIMEOUT, ...(socketPath === undefined ? {} : { socketPath }) },
    });
    this.#pool.on('disconnect', (_origin, _clients, error) => this.#noteLoss(error));
  }

  /** @throws HttpStatusError for a status of 300 or more, another Error (without the URL's secrets) when there was no answer. */
  async request<T>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, request: HttpRequest): Promise<T> {
    if (this.#closed) throw new Error('the connection was closed');
    const { body, params, headers, signal, timeoutMs = this.#timeoutMs } = request;
    signal.throwIfAborted();
    const send = async (abort: AbortSignal) => {
      const response = await this.#pool.request({
        method,
        path: params === undefined ? path : `${path}?${new URLSearchParams(params)}`,
        headers: { ...this.#headers, ...typeOf(body), ...headers },
        body: written(body),
        signal: abort,
      });
      return { status: response.statusCode, data: read(await response.body.text()) };
    };
    const { status, data } = await inTime(timeoutMs, signal, send).catch((error: unknown) => {
      signal.throwIfAborted();
      throw this.#secure && error instanceof errors.SocketError ? new Error(TLS_ENDED) : unanswered(error);
    });
    if (status >= 300) throw new HttpStatusError(status, data);
    return data as T;
  }

  /** Resolves when the server closes a connection that was kept alive: it may have restarted. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#losses.next(signal);
  }

  close(): void {
    this.#closed = true;
    void this.#pool.destroy();
  }

  /** A connection that we ended ourselves, by an abort or after idling, tells nothing of the server. */
  #noteLoss(error: Error & { readonly code?: string }): void {
    if (this.#closed || !(error instanceof errors.SocketError || error.code === 'ECONNRESET')) return;
    this.#losses.tell('the server closed the connection');
  }
}

function typeOf(body: unknown): Record<string, string> {
  if (body === undefined) return {};
  const type = body instanceof URLSearchParams ? 'application/x-www-form-urlencoded' : 'application/json';
  return { 'Content-Type': type };
}

function written(body: unknown): string | null {
  if (body === undefined) return null;
  return body instanceof URLSearchParams ? body.toString() : JSON.stringify(body);
}

/** JSON where it is some, else the words. */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function unanswered(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (error instanceof errors.ConnectTimeoutError) return new Error('no answer in time');
  // Where a name has several addresses, one error for each.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return new Error(inner instanceof Error && inner.message !== '' ? inner.message : 'no answer');
}
