import { once } from 'node:events';
import { connect } from 'node:net';
import type { Health } from '../../services/index.ts';
import { hostAndPort } from './target.ts';

/** Passing where a connection opens. Rejects where it does not. */
export async function checkTcp(target: string, signal: AbortSignal): Promise<Health> {
  signal.throwIfAborted();
  const socket = connect(hostAndPort(target));
  try {
    await once(socket, 'connect', { signal });
    return { status: 'passing', output: `TCP connect ${target}: Success` };
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}
