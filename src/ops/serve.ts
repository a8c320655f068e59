import { type HostPort, hostPort } from '../lib/host-port.ts';
import type { HttpRoute } from '../lib/http/route.ts';
import type { Logger } from '../lib/log/index.ts';
import type { Overseen } from './observer.ts';

/**
 * Serves what `--http` asks for: metrics, health and the page. An HTTP server is loaded for those alone who want one.
 *
 * @returns what ends it
 * @throws Error with one sentence when it cannot have the port
 */
export async function serveHttp(
  { host, port, names }: HostPort & { readonly names: readonly string[] },
  routes: readonly HttpRoute[],
  overseen: Overseen,
  log: Logger,
): Promise<() => Promise<void>> {
  const [{ opsServer }, { overviewPage }] = await Promise.all([import('./http.ts'), import('./overview.ts')]);
  const stopped = new AbortController();
  const server = opsServer(routes, overviewPage(overseen, stopped.signal), () => [overseen.hostname, ...names]);
  await server.listen(host, port).catch((error: NodeJS.ErrnoException) => {
    stopped.abort();
    throw new Error(`--http cannot listen on ${host}, port ${port} (${error.code}): choose another one.`);
  });
  log.info({ http: hostPort(host, server.port) }, 'metrics, health and the page /ui/ are served');
  return () => {
    stopped.abort();
    return server.close();
  };
}
