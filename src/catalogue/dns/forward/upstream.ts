import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { type Message, type Reply, readMessage } from '../message.ts';

/** A resolver that other names are asked of. */
export interface Upstream {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/**
 * Asks one resolver, by UDP and, where its answer does not fit, by TCP. The query's ID and the socket's port are new
 * each time, and only a reply from that address with that ID and question counts: nobody else can guess all three.
 *
 * @param query with any ID
 * @returns rejects without a reply that can be read, or on abort
 */
export async function ask(upstream: Upstream, query: Buffer, id: number, signal: AbortSignal): Promise<Reply> {
  const packet = Buffer.from(query);
  packet.writeUInt16BE(id, 0);
  const reply = await byUdp(upstream, packet, signal);
  return reply.message.truncated ? byTcp(upstream, packet, signal) : reply;
}

function byUdp({ host, port }: Upstream, query: Buffer, signal: AbortSignal): Promise<Reply> {
  signal.throwIfAborted();
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  return settled<Reply>(
    signal,
    (resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (packet) => {
        const message = readMessage(packet);
        if (message !== undefined && answers(message, query)) resolve({ packet, message });
      });
      // Connected, the kernel drops what others send, and tells when nobody listens there.
      socket.connect(port, host, (error?: Error) => (error ? reject(error) : socket.send(query)));
    },
    () => socket.close(),
  );
}

function byTcp({ host, port }: Upstream, query: Buffer, signal: AbortSignal): Promise<Reply> {
  signal.throwIfAborted();
  const socket = connect({ host, port });
  return settled<Reply>(
    signal,
    (resolve, reject) => {
      let bytes: Buffer = Buffer.alloc(0);
      socket.on('error', reject);
      socket.once('close', () => reject(new Error('the upstream resolver closed the connection')));
      socket.on('data', (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
        const packet = bytes.subarray(2, 2 + bytes.readUInt16BE(0));
        const message = readMessage(packet);
        if (message !== undefined && answers(message, query)) resolve({ packet, message });
        else reject(new Error('the upstream resolver answered another question'));
      });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    },
    () => socket.destroy(),
  );
}

function answers({ id, question }: Message, query: Buffer): boolean {
  return id === query.readUInt16BE(0) && question.equals(query.subarray(12, 12 + question.length));
}

/** A promise that is also rejected on abort, and cleaned up after. */
async function settled<T>(
  signal: AbortSignal,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  end: () => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    start(resolve, reject);
    return await promise;
  } finally {
    signal.removeEventListener('abort', abort);
    end();
  }
}
