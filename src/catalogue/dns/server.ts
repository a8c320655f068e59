import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Logger } from '../../ops/index.ts';
import type { Store } from '../store.ts';
import { type AnswerOptions, answer } from './answer.ts';
import { type Answer, encodeReply, MAX_TCP, parseQuery, type Query, udpLimit } from './wire.ts';

export interface DnsServerOptions extends Pick<AnswerOptions, 'domain' | 'ttl'> {
  readonly host: string;
  /** 0: any that is free for both UDP and TCP. */
  readonly port: number;
  readonly log: Logger;
}

/** Milliseconds that a TCP client may be silent. */
const TCP_IDLE = 10_000;
const TCP_CONNECTIONS = 256;
/** No query is longer: a name of 255 bytes and EDNS. */
const LONGEST_QUERY = 4096;
const BIND_ATTEMPTS = 20;

/** The catalogue's DNS server: UDP and TCP on one port. */
export class DnsServer {
  readonly #store: Store;
  readonly #options: DnsServerOptions;
  readonly #connections = new Set<Socket>();
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;

  constructor(store: Store, options: DnsServerOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The port that it listens on, once `listen` resolved. */
  get port(): number {
    return (this.#tcp?.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  /** Rejects with the socket's own error, and holds nothing then. */
  async listen(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#bind();
        return;
      } catch (error) {
        await this.close();
        // A port that TCP was given may be another's in UDP.
        const again = this.#options.port === 0 && attempt < BIND_ATTEMPTS;
        if (!again) throw error;
      }
    }
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    const [udp, tcp] = [this.#udp, this.#tcp];
    this.#udp = undefined;
    this.#tcp = undefined;
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([
      udp && new Promise<void>((closed) => udp.close(() => closed())),
      tcp?.listening && new Promise<void>((closed) => tcp.close(() => closed())),
    ]);
  }

  /** The reply to one packet; undefined where it gets none. Never throws. */
  reply(packet: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
    try {
      const query = parseQuery(packet);
      if (query === undefined) return undefined;
      if ('reply' in query) return query.reply;
      return encodeReply(query, this.#answer(query), transport === 'udp' ? udpLimit(query) : MAX_TCP);
    } catch (err) {
      this.#options.log.error({ err }, 'could not answer a DNS query; the client gets no reply');
      return undefined;
    }
  }

  #answer(query: Query): Answer {
    if (query.edns !== undefined && query.edns.version !== 0) return { ...NOTHING, rcode: 'BADVERS' };
    const { domain, ttl } = this.#options;
    const serial = Math.floor(Date.now() / 1000);
    return answer(query.question, this.#store, { domain, ttl, serial, random: Math.random });
  }

  async #bind(): Promise<void> {
    const { host, port, log } = this.#options;
    const tcp = createServer((socket) => this.#serve(socket));
    tcp.maxConnections = TCP_CONNECTIONS;
    this.#tcp = tcp;
    tcp.listen(port, host);
    await once(tcp, 'listening');
    const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    this.#udp = udp;
    udp.bind(this.port, host);
    await once(udp, 'listening');
    tcp.on('error', (err) => log.error({ err }, 'the DNS server failed on TCP'));
    udp.on('error', (err) => log.error({ err }, 'the DNS server failed on UDP'));
    udp.on('message', (packet, from) => this.#answerDatagram(udp, packet, from));
  }

  #answerDatagram(udp: UdpSocket, packet: Buffer, from: RemoteInfo): void {
    const reply = this.reply(packet, 'udp');
    // Nobody can be answered at port 0.
    if (reply !== undefined && from.port !== 0) udp.send(reply, from.port, from.address, () => {});
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.setTimeout(TCP_IDLE, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#connections.delete(socket));
    let pending: Buffer = Buffer.alloc(0);
    const work = () => {
      pending = this.#answerFrames(socket, pending);
      // A client that asks and does not read is not read from either.
      if (socket.writableNeedDrain) socket.pause();
      else socket.resume();
    };
    socket.on('drain', work);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      work();
    });
  }

  /** Answers each whole message, which its length precedes, and returns what is left. */
  #answerFrames(socket: Socket, bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length >= 2 && !socket.destroyed && !socket.writableNeedDrain) {
      const length = rest.readUInt16BE(0);
      if (length > LONGEST_QUERY) {
        socket.destroy();
        return Buffer.alloc(0);
      }
      if (rest.length < 2 + length) break;
      const reply = this.reply(rest.subarray(2, 2 + length), 'tcp');
      rest = rest.subarray(2 + length);
      if (reply === undefined) continue;
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([prefix, reply]));
    }
    return rest;
  }
}

const NOTHING: Answer = { rcode: 'NOERROR', authoritative: false, answers: [], authorities: [], additionals: [] };
