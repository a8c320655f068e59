import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const given = new Set<number>();

/**
 * A loopback port that is free for TCP and UDP. Below the kernel's ephemeral range, so that no client socket takes it
 * between this call and the server's bind, and above the golden containers' ports.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port) || !(await tcpIsFree(port)) || !(await udpIsFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('found no free port between 12000 and 32000');
}

async function tcpIsFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((closed) => server.close(closed));
  }
}

async function udpIsFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise<void>((closed) => socket.close(() => closed()));
  }
}
