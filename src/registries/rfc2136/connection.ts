import { connect, type Socket } from 'node:net';
import type { HostPort } from '../../lib/host-port.ts';
import { unlessAborted } from '../../lib/unless-aborted.ts';

/** Milliseconds without a byte after which a connection ends: while an answer is awaited, and when none is. */
const SILENCE_MS = 5_000;

/** DNS over TCP: messages, each after its length (RFC 1035, section 4.2.2). */
export class Connection {
  readonly #socket: Socket;
  readonly #messages: AsyncGenerator<Buffer, undefined>;
  #failure: string | undefined;

  constructor({ host, port }: HostPort) {
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.setTimeout(SILENCE_MS, () => this.#end('no answer in time'));
    // What there is to tell, `next` tells.
    this.#socket.on('error', () => undefined);
    this.#messages = messagesOf(this.#socket);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && !this.#socket.readableEnded;
  }

  send(message: Buffer): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    this.#socket.write(Buffer.concat([length, message]));
  }

  /** The next message. Rejects when the connection ends before, or stays silent, and on abort, which ends it. */
  async next(signal: AbortSignal): Promise<Buffer> {
    try {
      const { value } = await unlessAborted(this.#messages.next(), signal);
      if (value !== undefined) return value;
    } catch (error) {
      this.close();
      if (signal.aborted) throw error;
      // Where a name has several addresses, one error for each.
      if (this.#failure === undefined) throw error instanceof AggregateError ? error.errors[0] : error;
    }
    throw new Error(this.#failure ?? 'it closed the connection');
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(reason: string): void {
    this.#failure = reason;
    this.#socket.destroy();
  }
}

async function* messagesOf(socket: Socket): AsyncGenerator<Buffer, undefined> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 2) {
      const end = 2 + bytes.readUInt16BE(0);
      if (bytes.length < end) break;
      yield bytes.subarray(2, end);
      bytes = bytes.subarray(end);
    }
  }
  return undefined;
}
