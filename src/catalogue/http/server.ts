import { posix } from 'node:path';
import { type HttpAnswer, type HttpRequest, type HttpRoute, redirect, sentence } from '../../lib/http/route.ts';
import { HttpServer } from '../../lib/http-server.ts';
import type { Logger } from '../../lib/log/index.ts';

import {
  type About,
  type Board,
  followStore,
  followSurroundings,
  pageRoutes,
  type Surroundings,
} from '../page/index.ts';
import type { Store } from '../store.ts';
import { ENDPOINTS } from './endpoints.ts';
import { ApiError } from './error.ts';
import { answerOf } from './read.ts';
import { type Report, reportRoutes } from './report.ts';

export interface CatalogueServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly log: Logger;
  readonly routes?: readonly HttpRoute[];
  /** The DNS server, for the page. */
  readonly dns?: () => About['dns'];
  /** What is around the catalogue, for the page. */
  readonly surroundings?: () => Surroundings;
  readonly report: Report;
  /** What it is called by, beside its addresses, localhost and this host's name. */
  readonly names?: readonly string[];
}

const MAX_BODY = 64 * 1024;
const MAX_CONNECTIONS = 2048;
/** Milliseconds; above the 60 to 65 seconds that proxies keep a connection. */
const KEEP_ALIVE = 72_000;

const READ_ONLY =
  "registrator's embedded catalogue is read-only: what it holds are the containers that run here, named by their labels.";

/** The catalogue's HTTP server: Consul's read API, and the page. */
export class CatalogueServer {
  readonly #options: CatalogueServerOptions;
  readonly #closed = new AbortController();
  readonly #http: HttpServer;

  constructor(store: Store, options: CatalogueServerOptions) {
    this.#options = options;
    const { routes = [], report, log, names = [] } = options;
    const api = ENDPOINTS.map(
      (endpoint): HttpRoute => ({
        path: `/v1${endpoint.path}`,
        answer: (request) => answerOf(endpoint, store, request),
      }),
    );
    const page = pageRoutes(this.#board(store));
    this.#http = new HttpServer([{ path: '/', answer: front }, ...page, ...routes, ...api, ...reportRoutes(report)], {
      maxBody: MAX_BODY,
      maxConnections: MAX_CONNECTIONS,
      keepAlive: KEEP_ALIVE,
      names: () => [store.node.name, ...names],
      otherwise,
      failed: (error) => failed(error, log),
    });
  }

  #board(store: Store): Board {
    const { dns = () => undefined, surroundings } = this.#options;
    const board = followStore(store, dns, this.#closed.signal);
    if (surroundings !== undefined) void followSurroundings(board, surroundings, this.#closed.signal);
    return board;
  }

  /** The port that it listens on, once `listen` resolved. */
  get port(): number {
    return this.#http.port || this.#options.port;
  }

  /** Rejects with the socket's own error. */
  async listen(): Promise<void> {
    await this.#http.listen(this.#options.host, this.#options.port);
  }

  /** Ends every connection at once, the waiting ones included. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#http.close();
  }
}

/** A browser is sent to the page; a program is told where to go on. */
function front({ headers }: HttpRequest): HttpAnswer {
  const varies = { Vary: 'Accept' };
  if (headers.accept?.includes('text/html')) return redirect('ui/', varies);
  return sentence(200, "This is registrator's embedded catalogue. Try /v1/catalog/services.", varies);
}

/** What is not there, or not in this way: as Go's server of HTTP, which is Consul's, answers it. */
function otherwise({ method, path, query }: HttpRequest, allowed: (path: string) => string): HttpAnswer {
  const Allow = allowed(path);
  if (method === 'OPTIONS' && Allow !== '') return { status: 200, headers: { Allow }, body: '' };
  const reads = method === 'GET' || method === 'HEAD';
  const clean = posix.normalize(path);
  const better = clean !== path ? clean : Allow === '' && allowed(`${path}/`) !== '' ? `${path}/` : undefined;
  if (reads && better?.startsWith('/')) return moved(better, query);
  if (!reads) return sentence(405, `method ${method} not allowed: ${READ_ONLY}`, { Allow: Allow || 'OPTIONS,GET' });
  const asked = path.slice(0, 256);
  return sentence(404, `There is no ${asked} here: registrator's embedded catalogue has Consul's read API only.`);
}

function moved(path: string, query: URLSearchParams): HttpAnswer {
  const Location = `${path.replace(/^\/+/, '/')}${query.size === 0 ? '' : `?${query}`}`;
  return { status: 301, type: 'text/html; charset=utf-8', headers: { Location }, body: 'Moved Permanently\n' };
}

function failed(err: unknown, log: Logger): HttpAnswer {
  if (err instanceof ApiError) return sentence(err.status, err.message);
  log.error({ err }, 'the catalogue could not answer an HTTP request');
  return sentence(500, 'The catalogue could not answer this request; its log says why.');
}
