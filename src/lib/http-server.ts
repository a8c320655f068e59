import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compact } from './compact.ts';
import { limitConnections } from './connection-limits.ts';
import { type HttpAnswer, type HttpRequest, type HttpRoute, sentence } from './http/route.ts';
import { isServedHost } from './served-host.ts';

export interface HttpServerOptions {
  /** Bytes of a request's body. */
  readonly maxBody: number;
  readonly maxConnections: number;
  /** What it may be called by in a request's `Host`, beside its addresses, localhost and this host's name. */
  readonly names?: () => readonly string[];
  /** Milliseconds that an idle connection is kept; Node's 5 seconds where absent. */
  readonly keepAlive?: number;
  /** For what no route is there. `allowed` tells the methods that a path has routes for, as in `OPTIONS,GET`; '' for none. */
  readonly otherwise: (request: HttpRequest, allowed: (path: string) => string) => HttpAnswer;
  /** For what a route throws. */
  readonly failed: (error: unknown) => HttpAnswer;
}

const MISDIRECTED =
  "This is no name of the server that was asked: use its address, this host's name, or a name given by --http-name.\n";
const MAX_HEADER = 16 * 1024;
/** Milliseconds for a request to arrive; its answer may take longer. */
const REQUEST_TIMEOUT = 10_000;

/**
 * Routes on Node's own HTTP server. Without a framework: there are two dozen routes, and a framework is 5 to 8 MiB of
 * resident memory in a process that is to be small.
 */
export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #routes = new Map<string, HttpRoute>();
  readonly #closed = new AbortController();

  constructor(routes: readonly HttpRoute[], options: HttpServerOptions) {
    this.#options = options;
    for (const route of routes) this.#routes.set(`${route.method ?? 'GET'} ${route.path}`, route);
    const { keepAlive } = options;
    this.#server = createServer(
      compact({
        maxHeaderSize: MAX_HEADER,
        headersTimeout: REQUEST_TIMEOUT,
        requestTimeout: REQUEST_TIMEOUT,
        keepAliveTimeout: keepAlive,
      }),
      (request, response) => void this.#serve(request, response),
    );
    limitConnections(this.#server, options.maxConnections);
  }

  /** The port that it listens on, once `listen` resolved; 0 before. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Port 0: any free one. Rejects with the socket's own error. */
  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((listening, failed) => {
      this.#server.once('error', failed);
      this.#server.listen(port, host, () => {
        this.#server.off('error', failed);
        listening();
      });
    });
  }

  /** Ends every connection at once, the waiting ones included. */
  async close(): Promise<void> {
    this.#closed.abort();
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    const leave = () => gone.abort();
    this.#closed.signal.addEventListener('abort', leave, { signal: gone.signal });
    response.once('close', leave);
    response.on('error', () => response.destroy());
    const answer = await this.#answer(incoming, gone.signal).catch((error: unknown) => this.#options.failed(error));
    if (!gone.signal.aborted) send(answer, incoming.method === 'HEAD', response);
  }

  async #answer(incoming: IncomingMessage, signal: AbortSignal): Promise<HttpAnswer> {
    const { method = 'GET', url = '/', headers } = incoming;
    if (!isServedHost(headers.host, this.#options.names?.() ?? [])) return sentence(421, MISDIRECTED);
    const question = url.indexOf('?');
    const path = (question === -1 ? url : url.slice(0, question)).replace(/^https?:\/\/[^/]*/i, '');
    const query = new URLSearchParams(question === -1 ? '' : url.slice(question + 1));
    const body = method === 'GET' || method === 'HEAD' ? '' : await bodyOf(incoming, this.#options.maxBody);
    if (body === undefined) return sentence(413, 'The request is too long.', { Connection: 'close' });
    const request = { method, path, rest: '', query, headers, body, signal };
    const found = this.#find(method === 'HEAD' ? 'GET' : method, path);
    if (found === undefined) return this.#options.otherwise(request, (of) => this.#allowed(of));
    const rest = decoded(found.rest);
    if (rest === undefined) return sentence(400, `The path is wrongly encoded: ${path.slice(0, 256)}`);
    return found.route.answer({ ...request, rest });
  }

  #allowed(path: string): string {
    const methods = ['GET', 'PUT'].filter((method) => this.#find(method, path) !== undefined);
    return methods.length === 0 ? '' : ['OPTIONS', ...methods].join();
  }

  /** The route of this very path, or else the one with the longest beginning. */
  #find(method: string, path: string): { readonly route: HttpRoute; readonly rest: string } | undefined {
    const exact = this.#routes.get(`${method} ${path}`);
    if (exact !== undefined) return { route: exact, rest: '' };
    for (let slash = path.lastIndexOf('/'); slash >= 0; slash = slash === 0 ? -1 : path.lastIndexOf('/', slash - 1)) {
      const route = this.#routes.get(`${method} ${path.slice(0, slash)}/*`);
      if (route !== undefined) return { route, rest: path.slice(slash + 1) };
    }
    return undefined;
  }
}

function send({ status, type, headers = {}, body }: HttpAnswer, headOnly: boolean, response: ServerResponse): void {
  const head: Record<string, string | number> = { ...headers, ...(type === undefined ? {} : { 'Content-Type': type }) };
  if (typeof body === 'function') {
    response.writeHead(status, head);
    if (headOnly) response.end();
    else body(response);
    return;
  }
  response.writeHead(status, { ...head, 'Content-Length': Buffer.byteLength(body) });
  response.end(headOnly ? undefined : body);
}

/** Undefined where it is longer, or breaks off: nobody reads the answer then. */
async function bodyOf(incoming: IncomingMessage, most: number): Promise<string | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > most) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // The rest stays where it is: to end the stream would end the connection, before the answer is out.
    for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > most) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
