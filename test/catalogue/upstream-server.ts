import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet';

/** A query that came, with the port it came from. */
export interface Asked {
  readonly packet: DecodedPacket;
  readonly transport: 'udp' | 'tcp';
  readonly fromPort: number;
}

export interface Reply extends Packet {
  readonly rcode?: number;
}

/** A DNS server that answers as a test says, so that it can be slow, wrong or hostile; on UDP and TCP of one port. */
export class UpstreamServer {
  readonly asked: Asked[] = [];
  /** What it replies: bytes as they are, a packet whose ID, question and flag QR are filled in, or nothing. */
  answer: (asked: Asked) => Reply | Buffer | undefined | Promise<Reply | Buffer | undefined>;
  readonly #udp: Socket = createSocket('udp4');
  readonly #tcp: Server = createServer();

  constructor(answer: UpstreamServer['answer']) {
    this.answer = answer;
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  get upstream(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  async start(): Promise<this> {
    this.#tcp.on('connection', (socket) => {
      socket.on('error', () => socket.destroy());
      socket.once('data', async (data) => {
        const reply = await this.#reply(data.subarray(2), 'tcp', socket.remotePort ?? 0);
        if (reply === undefined) return;
        const length = Buffer.alloc(2);
        length.writeUInt16BE(reply.length);
        socket.end(Buffer.concat([length, reply]));
      });
    });
    this.#tcp.listen(0, '127.0.0.1');
    await once(this.#tcp, 'listening');
    this.#udp.on('message', async (data, from) => {
      const reply = await this.#reply(data, 'udp', from.port);
      if (reply !== undefined) this.#udp.send(reply, from.port, from.address);
    });
    this.#udp.bind(this.port, '127.0.0.1');
    await once(this.#udp, 'listening');
    return this;
  }

  stop(): void {
    this.#udp.close();
    this.#tcp.close();
  }

  async #reply(data: Buffer, transport: 'udp' | 'tcp', fromPort: number): Promise<Buffer | undefined> {
    const asked = { packet: decode(data), transport, fromPort };
    this.asked.push(asked);
    const reply = await this.answer(asked);
    if (reply === undefined || Buffer.isBuffer(reply)) return reply;
    const { id = 0, questions = [] } = asked.packet;
    const { rcode = 0, flags = 0, ...rest } = reply;
    const bytes = encode({
      ...rest,
      id: reply.id ?? id,
      type: 'response',
      questions: reply.questions ?? questions,
      flags,
    });
    bytes.writeUInt16BE((bytes.readUInt16BE(2) & 0xfff0) | rcode, 2);
    return bytes;
  }
}
