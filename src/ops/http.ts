import type { AddressInfo } from 'node:net';
import { type FastifyInstance, fastify } from 'fastify';
import type { HttpRoute } from '../lib/http/route.ts';

const MAX_HEADER = 16 * 1024;
/** Milliseconds for a request to arrive. */
const REQUEST_TIMEOUT = 10_000;
const MAX_CONNECTIONS = 256;

/** The HTTP server of `--http`: pages about registrator itself. */
export class OpsServer {
  readonly #app: FastifyInstance;

  /** @param page adds the routes of the page that people look at */
  constructor(routes: readonly HttpRoute[], page?: (app: FastifyInstance) => void) {
    this.#app = fastify({
      bodyLimit: 1024,
      requestTimeout: REQUEST_TIMEOUT,
      forceCloseConnections: true,
      http: { maxHeaderSize: MAX_HEADER, headersTimeout: REQUEST_TIMEOUT },
    });
    this.#app.server.maxConnections = MAX_CONNECTIONS;
    mount(this.#app, routes);
    page?.(this.#app);
    const paths = routes.map(({ path }) => path).join(', ');
    this.#app.setNotFoundHandler((_, reply) =>
      reply.code(404).type('text/plain; charset=utf-8').send(`There is nothing here but ${paths}.\n`),
    );
  }

  /** The port that it listens on, once `listen` resolved. */
  get port(): number {
    return (this.#app.server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** @throws Error with one sentence when it cannot have the port */
  async listen(host: string, port: number): Promise<void> {
    await this.#app.listen({ host, port }).catch(async (error: NodeJS.ErrnoException) => {
      await this.close();
      throw new Error(`--http cannot listen on ${host}, port ${port} (${error.code}): choose another one.`);
    });
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    await this.#app.close();
  }
}

function mount(app: FastifyInstance, routes: readonly HttpRoute[]): void {
  for (const { path, answer } of routes) {
    app.get(path, async (_, reply) => {
      const { status, type, body } = await answer();
      return reply.code(status).type(type).header('Cache-Control', 'no-store').send(body);
    });
  }
}
