import type { HttpRoute } from '../lib/http/route.ts';
import { sentence } from '../lib/http/route.ts';
import { HttpServer } from '../lib/http-server.ts';

const MAX_CONNECTIONS = 512;

/**
 * The HTTP server of `--http`: pages about registrator itself.
 *
 * @param page the routes of the page that people look at
 * @param names what it is called by, beside its addresses, localhost and this host's name
 */
export function opsServer(
  routes: readonly HttpRoute[],
  page: readonly HttpRoute[],
  names: () => readonly string[] = () => [],
): HttpServer {
  const paths = routes.map(({ path }) => path).join(', ');
  return new HttpServer([...routes.map(uncached), ...page], {
    maxBody: 1024,
    maxConnections: MAX_CONNECTIONS,
    names,
    otherwise: () => sentence(404, `There is nothing here but ${paths}.\n`),
    failed: () => sentence(500, 'This page could not be made.\n'),
  });
}

const uncached = (route: HttpRoute): HttpRoute => ({
  ...route,
  answer: async (request) => {
    const answer = await route.answer(request);
    return { ...answer, headers: { ...answer.headers, 'Cache-Control': 'no-store' } };
  },
});
