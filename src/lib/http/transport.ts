import type { LookupFunction, Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { Agent, buildConnector, type Dispatcher, errors, interceptors, Pool } from 'undici';
import { asError } from '../as-error.ts';
import { inTime } from '../in-time.ts';
import { LossSignal } from '../loss-signal.ts';
import { type Answer, exchange, type Limits } from './exchange.ts';

/** What a TLS connection is made with; PEM. */
export interface Tls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** False takes any certificate of the server's. */
  readonly rejectUnauthorized?: boolean;
}

/** Where an HTTP server is, and how connections to it are made. */
export interface Destination {
  /**
   * `http://host:port` or `https://host:port`, without a trailing slash; with `socketPath` or `dial` only a name. Left
   * out, every request names its own `origin`, and redirects are followed.
   */
  readonly baseUrl?: string;
  readonly socketPath?: string;
  /** Opens a connection that is no socket. */
  readonly dial?: () => Duplex;
  /** Asked anew for each connection, as certificates are replaced while we run. */
  readonly tls?: () => Tls;
  /** How the server's name is found; the system's way by default. */
  readonly lookup?: LookupFunction;
  /** Connections at once to one server; 48 by default. */
  readonly maxSockets?: number;
}

/** What goes over it: undici's words. */
export type TransportRequest = Pick<Dispatcher.DispatchOptions, 'origin' | 'method' | 'path' | 'headers' | 'body'>;

export interface StreamedAnswer extends Pick<Answer, 'status' | 'headers'> {
  /** Read as slowly as one likes: the server has to wait then. */
  readonly body: Readable;
}

/** Milliseconds that an idle connection is kept: long, since its end is how a restart of the server is noticed. */
const KEEP_ALIVE = 600_000;
const CONNECT_TIMEOUT = 5_000;
const MAX_REDIRECTS = 10;
/** Since TLS 1.3 a server says only after the handshake that it does not like the client's certificate, and then hangs up. */
const TLS_ENDED = 'the server ended the TLS connection; does it ask for another client certificate?';

/** Keep-alive connections to one server, under dockerode and axios alike; notices when the server drops them. */
export class Transport {
  readonly #destination: Destination;
  readonly #lossSignal = new LossSignal();
  #dispatcher: Dispatcher;
  #closed = false;

  constructor(destination: Destination) {
    this.#destination = destination;
    this.#dispatcher = this.#open();
  }

  /** @throws the signal's reason, or an Error with a short sentence (without the URL's secrets) when there was no whole answer */
  async exchange(request: TransportRequest, limits: Limits, signal: AbortSignal): Promise<Answer> {
    this.#check(signal);
    try {
      return await exchange(this.#dispatcher, request, limits, signal);
    } catch (error) {
      throw this.#unanswered(error, signal);
    }
  }

  /** As `exchange`; resolves when the server has begun to answer. The stream fails when the signal aborts. */
  async stream(request: TransportRequest, timeoutMs: number, signal: AbortSignal): Promise<StreamedAnswer> {
    this.#check(signal);
    const send = (abort: AbortSignal) =>
      this.#dispatcher.request({
        origin: this.#destination.baseUrl,
        ...request,
        signal: abort,
      } as Dispatcher.RequestOptions);
    try {
      const { statusCode, headers, body } = await inTime(timeoutMs, signal, send);
      return { status: statusCode, headers, body };
    } catch (error) {
      throw this.#unanswered(error, signal);
    }
  }

  /** Resolves when the server closes a connection that was kept alive: it may have restarted. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#lossSignal.next(signal);
  }

  /** Requests from now on go over new connections: those kept alive may be dead without knowing it. */
  renewConnections(): void {
    const old = this.#dispatcher;
    this.#dispatcher = this.#open();
    void old.close();
  }

  close(): void {
    this.#closed = true;
    void this.#dispatcher.destroy();
  }

  #open(): Dispatcher {
    const { baseUrl, dial, maxSockets = 48 } = this.#destination;
    const options = {
      connections: maxSockets,
      keepAliveTimeout: KEEP_ALIVE,
      keepAliveMaxTimeout: KEEP_ALIVE,
      // Every call has a time of its own.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: dial === undefined ? socketConnector(this.#destination) : streamConnector(dial),
    };
    if (baseUrl === undefined)
      return new Agent(options).compose(interceptors.redirect({ maxRedirections: MAX_REDIRECTS }));
    const pool = new Pool(baseUrl, options);
    pool.on('disconnect', (_origin, _clients, error) => this.#noteLoss(error));
    return pool;
  }

  #check(signal: AbortSignal): void {
    if (this.#closed) throw new Error('the connection was closed');
    signal.throwIfAborted();
  }

  #unanswered(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    const secure = this.#destination.baseUrl?.startsWith('https:') ?? false;
    return secure && error instanceof errors.SocketError ? new Error(TLS_ENDED) : unanswered(error);
  }

  /** A connection that we ended ourselves, by an abort or after idling, tells nothing of the server. */
  #noteLoss(error: Error & { readonly code?: string }): void {
    if (this.#closed || !(error instanceof errors.SocketError || error.code === 'ECONNRESET')) return;
    this.#lossSignal.tell('the server closed the connection');
  }
}

function socketConnector({ socketPath, tls, lookup }: Destination): buildConnector.connector {
  const build = (certificates: Tls) =>
    buildConnector({
      ...certificates,
      timeout: CONNECT_TIMEOUT,
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(lookup === undefined ? {} : { lookup }),
    });
  if (tls === undefined) return build({});
  return (options, connected) => {
    let connect: buildConnector.connector;
    try {
      connect = build(tls());
    } catch (error) {
      return void queueMicrotask(() => connected(asError(error), null));
    }
    connect(options, connected);
  };
}

/** Undici goes on only where it is told of the connection later; of a socket it takes no more than any stream has. */
function streamConnector(dial: () => Duplex): buildConnector.connector {
  return (_, connected) => queueMicrotask(() => connected(null, dial() as Socket));
}

function unanswered(error: unknown): Error {
  if (!(error instanceof Error)) return asError(error);
  if (error instanceof errors.ConnectTimeoutError) return new Error('no answer in time');
  // Where a name has several addresses, one error for each.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return new Error(inner instanceof Error && inner.message !== '' ? inner.message : 'no answer');
}
