import type { AddressInfo } from 'node:net';
import { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { HttpRoute } from '../../lib/http/route.ts';
import type { Logger } from '../../lib/log/index.ts';

import type { HealthStatus } from '../../services/index.ts';
import { followStore, servePage } from '../page/index.ts';
import type { Store, Topic } from '../store.ts';
import { Outcome } from './agent-health.ts';
import { ENDPOINTS, type Endpoint } from './endpoints.ts';
import { ApiError } from './error.ts';
import { QueryParameters, type RawQuery } from './query.ts';

export interface HttpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly log: Logger;
  readonly routes?: readonly HttpRoute[];
  /** Where names of services end in DNS, for the page. */
  readonly domain?: string;
  /** Takes an application's word on its TTL check; false where there is no such check. */
  readonly report: (checkId: string, status: HealthStatus, output: string) => boolean;
}

const MAX_HEADER = 16 * 1024;
const MAX_BODY = 64 * 1024;
const MAX_CONNECTIONS = 2048;
/** Milliseconds for a request to arrive; blocking queries may take longer to be answered. */
const REQUEST_TIMEOUT = 10_000;
/** Milliseconds; above the 60 to 65 seconds that proxies keep a connection. */
const KEEP_ALIVE = 72_000;

const READ_ONLY =
  "registrator's embedded catalogue is read-only: what it holds are the containers that run here, named by their labels.";

/** The catalogue's HTTP server: Consul's read API. */
export class HttpServer {
  readonly #store: Store;
  readonly #options: HttpServerOptions;
  /** Of each blocking query that waits: ends its waiting. */
  readonly #waiting = new Set<AbortController>();
  readonly #closed = new AbortController();
  readonly #app: FastifyInstance;

  constructor(store: Store, options: HttpServerOptions) {
    this.#store = store;
    this.#options = options;
    this.#app = fastify({
      bodyLimit: MAX_BODY,
      requestTimeout: REQUEST_TIMEOUT,
      keepAliveTimeout: KEEP_ALIVE,
      forceCloseConnections: true,
      return503OnClosing: false,
      routerOptions: { maxParamLength: 1024 },
      http: { maxHeaderSize: MAX_HEADER, headersTimeout: REQUEST_TIMEOUT },
      frameworkErrors: (error, _, reply) => refuse(reply, error.statusCode ?? 400, error.message),
    });
    this.#app.server.maxConnections = MAX_CONNECTIONS;
    this.#route();
  }

  /** The port that it listens on, once `listen` resolved. */
  get port(): number {
    return (this.#app.server.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  /** Rejects with the socket's own error. */
  async listen(): Promise<void> {
    const { host, port } = this.#options;
    await this.#app.listen({ host, port });
  }

  /** Ends every connection at once, the waiting ones included. */
  async close(): Promise<void> {
    this.#closed.abort();
    for (const stop of this.#waiting) stop.abort();
    await this.#app.close();
  }

  #route(): void {
    const app = this.#app;
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body));
    app.setErrorHandler((error: FastifyError, _, reply) => this.#failed(error, reply));
    app.setNotFoundHandler((request, reply) => notFound(request, reply));
    app.get('/', (request, reply) => {
      reply.header('Vary', 'Accept');
      if (request.headers.accept?.includes('text/html')) return reply.redirect('ui/');
      return text(reply, 200, "This is registrator's embedded catalogue. Try /v1/catalog/services.");
    });
    servePage(app, followStore(this.#store, this.#options.domain, this.#closed.signal));
    for (const { path, answer } of this.#options.routes ?? []) {
      app.get(path, async (_, reply) => {
        const { status, type, body } = await answer();
        return reply.code(status).type(type).send(body);
      });
    }
    for (const endpoint of ENDPOINTS) {
      app.get(`/v1${endpoint.path}`, (request, reply) => this.#read(endpoint, request, reply));
    }
    for (const [action, status] of REPORTS) {
      app.put(`/v1/agent/check/${action}/*`, (request, reply) => {
        this.#report(rest(request), status, query(request).one('note') ?? '');
        return reply.send();
      });
    }
    app.put('/v1/agent/check/update/*', (request, reply) => {
      const { status, output } = update(request.body);
      this.#report(rest(request), status, output);
      return reply.send();
    });
  }

  async #read(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const store = this.#store;
    const parameters = query(request);
    const name = rest(request);
    if (endpoint.needs !== undefined && name === '') throw new ApiError(400, `Missing ${endpoint.needs}`);
    parameters.check(store.node.datacenter);
    if (endpoint.hash !== undefined) {
      await this.#waitForHash(() => endpoint.hash?.(store, name), parameters, reply);
      if (this.#closed.signal.aborted || reply.raw.destroyed) return reply.hijack();
      const hash = endpoint.hash(store, name);
      if (hash !== undefined) reply.header('X-Consul-ContentHash', hash);
    }
    const topic = endpoint.topic?.(name);
    if (topic !== undefined) {
      await this.#wait(topic, parameters, reply);
      if (this.#closed.signal.aborted || reply.raw.destroyed) return reply.hijack();
      reply.header('X-Consul-Index', store.indexOf(topic));
      reply.header('X-Consul-KnownLeader', 'true');
      reply.header('X-Consul-LastContact', '0');
    }
    const found = endpoint.read(store, name, parameters);
    if (found instanceof Outcome) {
      if (parameters.one('format') === 'text') return plain(reply, found.status, found.text);
      return json(reply.code(found.status), found.body, parameters.has('pretty'));
    }
    return json(reply, endpoint.filters ? filtered(found, parameters) : found, parameters.has('pretty'));
  }

  /** A blocking query: until the topic's index is above the client's, or its time is over. */
  async #wait(topic: Topic, { index, wait }: QueryParameters, reply: FastifyReply): Promise<void> {
    // An index from before a restart may be higher than ours will be for long: the client shall see that at once.
    if (index === 0 || index > this.#store.index) return;
    await this.#within(wait, reply, (signal) => this.#store.wait(topic, index, signal));
  }

  /** The same for an agent's endpoint: until the hash is another than the client's. */
  async #waitForHash(now: () => string | undefined, parameters: QueryParameters, reply: FastifyReply): Promise<void> {
    const hash = parameters.one('hash');
    if (hash === undefined || hash !== now()) return;
    await this.#within(parameters.wait, reply, async (signal) => {
      while (!signal.aborted && hash === now()) await this.#store.wait('all', this.#store.index, signal);
    });
  }

  /** Lets something wait for so many milliseconds, for as long as there is a client. */
  async #within(milliseconds: number, reply: FastifyReply, waiting: (signal: AbortSignal) => Promise<void>) {
    const stop = new AbortController();
    reply.raw.once('close', () => stop.abort());
    // As Consul: up to a sixteenth more, so that clients do not come back all at once.
    const timer = setTimeout(() => stop.abort(), milliseconds + (Math.random() * milliseconds) / 16);
    this.#waiting.add(stop);
    await waiting(stop.signal);
    this.#waiting.delete(stop);
    clearTimeout(timer);
  }

  #report(checkId: string, status: HealthStatus, output: string): void {
    if (this.#options.report(checkId, status, output)) return;
    throw new ApiError(500, `CheckID "${checkId.slice(0, 256)}" does not have associated TTL`);
  }

  #failed(error: FastifyError, reply: FastifyReply): FastifyReply {
    if (error instanceof ApiError) return refuse(reply, error.status, error.message);
    if (error.statusCode !== undefined && error.statusCode < 500) return refuse(reply, error.statusCode, error.message);
    this.#options.log.error({ err: error }, 'the catalogue could not answer an HTTP request');
    return refuse(reply, 500, 'The catalogue could not answer this request; its log says why.');
  }
}

const REPORTS = [
  ['pass', 'passing'],
  ['warn', 'warning'],
  ['fail', 'critical'],
] as const satisfies readonly (readonly [string, HealthStatus])[];

const query = (request: FastifyRequest) => new QueryParameters(request.query as RawQuery);
const rest = (request: FastifyRequest) => (request.params as { readonly '*'?: string })['*'] ?? '';

function filtered(found: unknown, parameters: QueryParameters): unknown {
  if (Array.isArray(found)) return parameters.filtered(found);
  const entries = Object.entries(found as Record<string, unknown>);
  const kept = new Set(parameters.filtered(entries.map(([, value]) => value)));
  return Object.fromEntries(entries.filter(([, value]) => kept.has(value)));
}

/** The body of `/v1/agent/check/update`. */
function update(body: unknown): { status: HealthStatus; output: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(String(body ?? ''));
  } catch {
    throw new ApiError(400, 'Request decode failed: the body is no JSON');
  }
  const { Status: status, Output: output } = Object(parsed) as { Status?: unknown; Output?: unknown };
  if (status !== 'passing' && status !== 'warning' && status !== 'critical') {
    throw new ApiError(400, `Invalid check status: '${String(status ?? '').slice(0, 64)}'`);
  }
  return { status, output: typeof output === 'string' ? output : '' };
}

function notFound({ method, url }: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = url.split('?')[0]?.slice(0, 256);
  if (method === 'GET' || method === 'HEAD') {
    return refuse(reply, 404, `There is no ${path} here: registrator's embedded catalogue has Consul's read API only.`);
  }
  reply.header('Allow', 'GET, HEAD');
  return refuse(reply, 405, `method ${method} not allowed: ${READ_ONLY}`);
}

function json(reply: FastifyReply, body: unknown, pretty: boolean): FastifyReply {
  const lines = pretty ? `${JSON.stringify(body, undefined, 4)}\n` : JSON.stringify(body);
  // As bytes: fastify would add a charset to the type of a text, which Consul's answers do not have.
  return reply.type('application/json').send(Buffer.from(lines));
}

/** As Consul's agent sends it: without a character set. */
const plain = (reply: FastifyReply, status: number, words: string) =>
  reply.code(status).type('text/plain').send(Buffer.from(words));

const refuse = (reply: FastifyReply, status: number, sentence: string) => text(reply, status, sentence);

function text(reply: FastifyReply, status: number, sentence: string): FastifyReply {
  return reply.code(status).type('text/plain; charset=utf-8').send(sentence);
}
