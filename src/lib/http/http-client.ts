import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type buildConnector, type Dispatcher, errors, Pool } from 'undici';
import { asError } from '../as-error.ts';
import { inTime } from '../in-time.ts';
import { LossSignal } from '../loss-signal.ts';
import { exchange } from './exchange.ts';

/** Where an HTTP server is, and how to speak to it. */
export interface HttpTarget {
  /** `http://host:port` or `https://host:port`, without a trailing slash; with `socketPath` or `dial` only a name. */
  readonly baseUrl: string;
  readonly socketPath?: string;
  /** Opens a connection that is no socket. */
  readonly dial?: () => Duplex;
  readonly tls?: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly rejectUnauthorized?: boolean;
  };
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds for a whole request; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Bytes of an answer; 256 MiB by default: ten times what ten thousand containers take. */
  readonly maxBytes?: number;
  /** Connections at once; 48 by default. */
  readonly maxSockets?: number;
}

const DEFAULTS = { timeoutMs: 10_000, maxBytes: 2 ** 28, maxSockets: 48 };

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

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
  readonly #target: HttpTarget & typeof DEFAULTS;
  readonly #lossSignal = new LossSignal();
  #pool: Pool;
  #closed = false;

  constructor(target: HttpTarget) {
    this.#target = { ...DEFAULTS, ...target };
    this.#pool = this.#open();
  }

  /** @throws HttpStatusError for a status of 300 or more, another Error (without the URL's secrets) when there was no answer. */
  async request<T>(method: Method, path: string, request: HttpRequest): Promise<T> {
    const { signal, timeoutMs = this.#target.timeoutMs } = request;
    this.#check(signal);
    const sent = exchange(
      this.#pool,
      this.#written(method, path, request),
      { timeoutMs, maxBytes: this.#target.maxBytes },
      signal,
    );
    const { status, text } = await sent.catch((error: unknown) => this.#throwUnanswered(error, signal));
    return answered(status, text);
  }

  /** As `request`; resolves when the server has begun to answer. The stream fails when the signal aborts. */
  async stream(path: string, request: HttpRequest): Promise<Readable> {
    const { signal, timeoutMs = this.#target.timeoutMs } = request;
    this.#check(signal);
    const send = (abort: AbortSignal) => this.#pool.request({ ...this.#written('GET', path, request), signal: abort });
    const sent = inTime(timeoutMs, signal, send);
    const { statusCode, body } = await sent.catch((error: unknown) => this.#throwUnanswered(error, signal));
    return statusCode < 300 ? body : answered(statusCode, await body.text());
  }

  /** Resolves when the server closes a connection that was kept alive: it may have restarted. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#lossSignal.next(signal);
  }

  /** Requests from now on go over new connections: those kept alive may be dead without knowing it. */
  renewConnections(): void {
    const old = this.#pool;
    this.#pool = this.#open();
    void old.close();
  }

  close(): void {
    this.#closed = true;
    void this.#pool.destroy();
  }

  #open(): Pool {
    const { baseUrl, socketPath, dial, tls, maxSockets } = this.#target;
    const socket = { ...tls, timeout: CONNECT_TIMEOUT, ...(socketPath === undefined ? {} : { socketPath }) };
    const pool = new Pool(baseUrl, {
      connections: maxSockets,
      keepAliveTimeout: KEEP_ALIVE,
      keepAliveMaxTimeout: KEEP_ALIVE,
      // Every call has a time of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: dial === undefined ? socket : connector(dial),
    });
    pool.on('disconnect', (_origin, _clients, error) => this.#noteLoss(error));
    return pool;
  }

  #check(signal: AbortSignal): void {
    if (this.#closed) throw new Error('the connection was closed');
    signal.throwIfAborted();
  }

  #written(method: Method, path: string, { body, params, headers }: HttpRequest): Dispatcher.DispatchOptions {
    return {
      method,
      path: params === undefined ? path : `${path}?${new URLSearchParams(params)}`,
      headers: { ...this.#target.headers, ...typeOf(body), ...headers },
      body: written(body),
    };
  }

  #throwUnanswered(error: unknown, signal: AbortSignal): never {
    signal.throwIfAborted();
    const secure = this.#target.baseUrl.startsWith('https:');
    throw secure && error instanceof errors.SocketError ? new Error(TLS_ENDED) : unanswered(error);
  }

  /** A connection that we ended ourselves, by an abort or after idling, tells nothing of the server. */
  #noteLoss(error: Error & { readonly code?: string }): void {
    if (this.#closed || !(error instanceof errors.SocketError || error.code === 'ECONNRESET')) return;
    this.#lossSignal.tell('the server closed the connection');
  }
}

/** Undici goes on only where it is told of the connection later; of a socket it takes no more than any stream has. */
function connector(dial: () => Duplex): buildConnector.connector {
  return (_, connected) => queueMicrotask(() => connected(null, dial() as Socket));
}

/** @throws HttpStatusError */
function answered<T>(status: number, text: string): T {
  const data = read(text);
  if (status >= 300) throw new HttpStatusError(status, data);
  return data as T;
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
  // What most writes are answered with; an error thrown for each took a tenth of a cold start.
  if (text === '') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function unanswered(error: unknown): Error {
  if (!(error instanceof Error)) return asError(error);
  if (error instanceof errors.ConnectTimeoutError) return new Error('no answer in time');
  // Where a name has several addresses, one error for each.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return new Error(inner instanceof Error && inner.message !== '' ? inner.message : 'no answer');
}
