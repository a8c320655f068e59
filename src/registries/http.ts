import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import axios, { type AxiosInstance, isAxiosError } from 'axios';

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

/** The server answered, with a status of 400 or more. `message` is the server's own words, cut to 500 characters. */
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

/** A keep-alive HTTP client for one server that notices when the server drops its connections. */
export class HttpClient {
  readonly #axios: AxiosInstance;
  readonly #agent: HttpAgent;
  readonly #waiters = new Set<(reason: string) => void>();
  #closed = false;

  constructor(target: HttpTarget) {
    const options: AgentOptions = { keepAlive: true, maxSockets: target.maxSockets ?? 16, maxFreeSockets: 16 };
    this.#agent = target.baseUrl.startsWith('https:')
      ? new HttpsAgent({ ...options, ...target.tls })
      : new HttpAgent(options);
    this.#agent.on('free', (socket: Socket) => this.#watch(socket));
    this.#axios = axios.create({
      baseURL: target.baseUrl,
      timeout: target.timeoutMs ?? 10_000,
      httpAgent: this.#agent,
      httpsAgent: this.#agent,
      // A registry is reached directly: HTTP_PROXY is for the web.
      proxy: false,
      maxRedirects: 3,
      headers: { ...target.headers },
      validateStatus: () => true,
      ...(target.socketPath === undefined ? {} : { socketPath: target.socketPath }),
    });
  }

  /** @throws HttpStatusError for a status of 400 or more, another Error (without the URL's secrets) when there was no answer. */
  async request<T>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, request: HttpRequest): Promise<T> {
    if (this.#closed) throw new Error('the connection was closed');
    const { body, params, headers, signal, timeoutMs } = request;
    const config = {
      method,
      url: path,
      signal,
      ...(body === undefined ? {} : { data: body }),
      ...(params === undefined ? {} : { params }),
      ...(headers === undefined ? {} : { headers }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    };
    const response = await this.#axios.request(config).catch((error: unknown) => {
      signal.throwIfAborted();
      throw unanswered(error);
    });
    if (response.status >= 400) throw new HttpStatusError(response.status, response.data);
    return response.data as T;
  }

  /** Resolves when the server closes a connection that was kept alive: it may have restarted. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (reason: string) => {
        signal.removeEventListener('abort', abort);
        this.#waiters.delete(settle);
        resolve(reason);
      };
      const abort = () => {
        this.#waiters.delete(settle);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.add(settle);
    });
  }

  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  readonly #watched = new WeakSet<Socket>();

  #watch(socket: Socket): void {
    if (this.#watched.has(socket)) return;
    this.#watched.add(socket);
    socket.once('close', () => {
      if (this.#closed) return;
      for (const settle of [...this.#waiters]) settle('the server closed the connection');
    });
  }
}

/** axios errors carry the request, headers and tokens included: keep only what a person needs. */
function unanswered(error: unknown): Error {
  if (!isAxiosError(error)) return error instanceof Error ? error : new Error(String(error));
  if (error.code === 'ECONNABORTED' || error.code === 'ETIMEDOUT') return new Error('no answer in time');
  const inner = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause;
  return new Error(
    inner instanceof Error && inner.message !== '' ? inner.message : error.message || error.code || 'no answer',
  );
}
