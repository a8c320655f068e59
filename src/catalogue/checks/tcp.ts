import { once } from 'node:events';
import { connect } from 'node:net';
import { parseHostPort } from '../../lib/host-port.ts';
import type { Health } from '../../services/index.ts';
import { checkReach, lookUp } from './reach.ts';

/** Passing where a connection opens. Rejects where it does not. */
export async function checkTcp(target: string, signal: AbortSignal): Promise<Health> {
  signal.throwIfAborted();
  const { host = '', port = 0 } = parseHostPort(target) ?? {};
  if (host === '' || port === 0) throw new Error(`the target "${target}" is no host:port`);
  checkReach(host);
  const socket = connect({ host, port, lookup: lookUp });
  try {
    await once(socket, 'connect', { signal });
    return { status: 'passing', output: `TCP connect ${target}: Success` };
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}
