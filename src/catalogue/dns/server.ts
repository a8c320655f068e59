import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Logger } from '../../lib/log/index.ts';

import type { Store } from '../store.ts';
import { mostTo } from './amplification.ts';
import { type AnswerOptions, answer } from './answer.ts';
import type { Upstream } from './forward/index.ts';
import { Forwarder, Recursion } from './forward/index.ts';
import { ReplyMemo } from './memo.ts';
import { type Answer, encodeReply, MAX_TCP, parseQuery, type Query, udpLimit } from './wire.ts';

export interface DnsServerOptions extends Pick<AnswerOptions, 'domain' | 'ttl'> {
  readonly host: string;
  /** 0: any that is free for both UDP and TCP. */
  readonly port: number;
  /** The resolvers that other names are asked of; none: nobody is. */
  readonly forward?: readonly Upstream[];
  readonly log: Logger;
}

/** Milliseconds that a TCP client may be silent. */
const TCP_IDLE = 10_000;
const TCP_CONNECTIONS = 256;
/** No query is longer: a name of 255 bytes and EDNS. */
const LONGEST_QUERY = 4096;
const BIND_ATTEMPTS = 20;
/** Queries that wait for other resolvers at once: of one connection, and in all. */
const TCP_ASKING = 16;
const MAX_ASKING = 2048;

/** The catalogue's DNS server: UDP and TCP on one port. */
export class DnsServer {
  readonly #store: Store;
  readonly #options: DnsServerOptions;
  readonly #connections = new Set<Socket>();
  readonly #memo = new ReplyMemo();
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;
  #recursion: Recursion | undefined;
  #asking = 0;

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
    this.#recursion?.close();
    this.#recursion = undefined;
    const [udp, tcp] = [this.#udp, this.#tcp];
    this.#udp = undefined;
    this.#tcp = undefined;
    for (const connection of this.#connections) connection.destroy();
    await Promise.all([
      udp && new Promise<void>((closed) => udp.close(() => closed())),
      tcp?.listening && new Promise<void>((closed) => tcp.close(() => closed())),
    ]);
  }

  /**
   * The reply to one packet, at once or, where others are asked, later; undefined where it gets none. Never fails.
   *
   * @param most bytes of it
   */
  #reply(packet: Buffer, transport: 'udp' | 'tcp', most = MAX_TCP): Buffer | undefined | Promise<Buffer | undefined> {
    try {
      const known = transport === 'udp' ? this.#memo.find(packet, this.#store.index) : undefined;
      if (known !== undefined && known.length <= most) return known;
      const query = parseQuery(packet);
      if (query === undefined) return undefined;
      if ('reply' in query) return query.reply;
      const limit = transport === 'udp' ? Math.min(udpLimit(query), most) : MAX_TCP;
      const recursion = this.#recursion;
      const own = this.#answer(query);
      if (recursion === undefined || !query.recursionDesired || this.#asking >= MAX_ASKING) {
        const reply = encodeReply(query, { ...own, recursionAvailable: recursion !== undefined }, limit);
        if (transport === 'udp' && recursion === undefined && own.answers.length === 1) this.#memo.keep(packet, reply);
        return reply;
      }
      const asked = recursion.complete(query, own, transport, limit);
      if (Buffer.isBuffer(asked)) return asked;
      this.#asking += 1;
      return asked
        .catch((error: unknown) => this.#failed(error))
        .finally(() => {
          this.#asking -= 1;
        });
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(err: unknown): undefined {
    this.#options.log.error({ err }, 'could not answer a DNS query; the client gets no reply');
  }

  #answer(query: Query): Answer {
    if (query.edns !== undefined && query.edns.version !== 0) return { ...NOTHING, rcode: 'BADVERS' };
    const { domain, ttl } = this.#options;
    const serial = Math.floor(Date.now() / 1000);
    return answer(query.question, this.#store, { domain, ttl, serial, random: Math.random });
  }

  async #bind(): Promise<void> {
    const { host, port, forward: upstreams, log } = this.#options;
    this.#recursion = upstreams === undefined ? undefined : new Recursion(new Forwarder({ upstreams, log }));
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
    udp.on('message', (packet, from) => void this.#answerDatagram(udp, packet, from));
  }

  async #answerDatagram(udp: UdpSocket, packet: Buffer, from: RemoteInfo): Promise<void> {
    // Nobody can be answered at port 0.
    if (from.port === 0) return;
    const replied = this.#reply(packet, 'udp', mostTo(from.address, packet.length));
    const reply = replied instanceof Promise ? await replied : replied;
    if (reply !== undefined && this.#udp === udp) udp.send(reply, from.port, from.address, () => {});
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.setTimeout(TCP_IDLE, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#connections.delete(socket));
    let pending: Buffer = Buffer.alloc(0);
    let asking = 0;
    const busy = () => socket.destroyed || socket.writableNeedDrain || asking >= TCP_ASKING;
    const send = (reply: Buffer | undefined) => {
      if (reply === undefined || socket.destroyed) return;
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(reply.length);
      socket.write(Buffer.concat([prefix, reply]));
    };
    const later = async (reply: Promise<Buffer | undefined>) => {
      asking += 1;
      send(await reply);
      asking -= 1;
      work();
    };
    const work = () => {
      while (!busy()) {
        const message = firstMessage(pending);
        if (message === 'too long') socket.destroy();
        if (typeof message === 'string') break;
        pending = pending.subarray(2 + message.length);
        const reply = this.#reply(message, 'tcp');
        if (reply instanceof Promise) void later(reply);
        else send(reply);
      }
      // A client that asks and does not read is not read from either.
      if (busy()) socket.pause();
      else socket.resume();
    };
    socket.on('drain', work);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      work();
    });
  }
}

/** The first whole message, which its length precedes. */
function firstMessage(bytes: Buffer): Buffer | 'too long' | 'not there yet' {
  if (bytes.length < 2) return 'not there yet';
  const length = bytes.readUInt16BE(0);
  if (length > LONGEST_QUERY) return 'too long';
  return bytes.length < 2 + length ? 'not there yet' : bytes.subarray(2, 2 + length);
}

const NOTHING: Answer = { rcode: 'NOERROR', authoritative: false, answers: [], authorities: [], additionals: [] };
