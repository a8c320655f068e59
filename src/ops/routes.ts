import { type HttpRoute, sentence } from '../lib/http/route.ts';
import type { Status } from './observer.ts';

/** `/health`, `/ready` and `/metrics`. */
export function opsRoutes(status: () => Status, metrics: HttpRoute['answer']): readonly HttpRoute[] {
  return [
    { path: '/health', answer: () => plain(200, 'registrator is alive.') },
    {
      path: '/ready',
      answer: () => {
        const reason = unready(status());
        return reason === undefined ? plain(200, 'registrator is connected and in sync.') : plain(503, reason);
      },
    },
    { path: '/metrics', answer: metrics },
  ];
}

/**
 * Why registrator is not ready, as a sentence; undefined where it is. A service that a registry refused does not count:
 * one bad label must not take the whole host's registrator for broken.
 */
export function unready({ docker, registries }: Status): string | undefined {
  if (docker === undefined) return 'Docker has not answered yet.';
  if (!docker.connected) return 'Docker does not answer; what is registered stays.';
  if (!docker.complete) return 'Not every container has been looked at yet.';
  if (docker.waits !== undefined) return `Published ports are not registered: ${docker.waits}.`;
  const down = registries.find(({ up }) => !up);
  if (down !== undefined) return `${down.name} does not answer, or was not read yet.`;
  const busy = registries.find(({ queue }) => queue > 0);
  if (busy !== undefined) return `${busy.queue} entries wait to be written to ${busy.name}.`;
  return undefined;
}

const plain = (status: number, words: string) => sentence(status, `${words}\n`);
