import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Connections of one client. */
const OF_ONE = 256;

/**
 * Bounds the connections of an HTTP server, by client and in all, such that nobody takes another's: the newest is kept, and
 * one of the client that has the most is closed, an idle one first, then the oldest.
 */
export function limitConnections(server: Server, inAll: number): void {
  /** By the client's address, the oldest first; whether each has a request under way. */
  const clients = new Map<string, Map<Socket, boolean>>();
  let count = 0;

  server.on('connection', (socket) => {
    const client = clientOf(socket);
    const own = clients.get(client) ?? new Map<Socket, boolean>();
    clients.set(client, own);
    own.set(socket, false);
    count += 1;
    socket.once('close', () => {
      forget(client, socket);
    });
    if (own.size > Math.min(OF_ONE, inAll)) end(client, own, socket);
    else if (count > inAll) end(...greediest(), socket);
  });

  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const own = clients.get(clientOf(socket));
    own?.set(socket, true);
    response.once('close', () => {
      if (own?.has(socket)) own.set(socket, false);
    });
  });

  function greediest(): [string, Map<Socket, boolean>] {
    return [...clients].reduce((most, client) => (client[1].size > most[1].size ? client : most));
  }

  function end(client: string, sockets: Map<Socket, boolean>, newest: Socket): void {
    const others = [...sockets].filter(([socket]) => socket !== newest);
    const [socket] = others.find(([, busy]) => !busy) ?? others[0] ?? [];
    if (socket === undefined) return;
    forget(client, socket);
    socket.destroy();
  }

  function forget(client: string, socket: Socket): void {
    const own = clients.get(client);
    if (!own?.delete(socket)) return;
    count -= 1;
    if (own.size === 0) clients.delete(client);
  }
}

/** A client with IPv6 has a whole network of addresses, of 64 bits. */
function clientOf({ remoteAddress = '' }: Socket): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return address.includes(':') && address !== '::1' ? address.split(':', 4).join(':') : address;
}
