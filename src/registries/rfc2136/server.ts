import type { Answer, DecodedPacket } from 'dns-packet';
import { type HostPort, hostPort } from '../../lib/host-port.ts';
import { inTime } from '../../lib/in-time.ts';
import { Connection } from './connection.ts';
import { question, readAnswer } from './message.ts';
import { sign, TsigReader, TsigRefusal, UntrustedAnswer } from './tsig.ts';
import type { KeySource } from './uri.ts';

/** Bytes of a zone: ten times what a hundred thousand instances take. */
const MOST_BYTES = 2 ** 28;

/** Milliseconds for a transfer in all. */
const TRANSFER_MS = 120_000;
/** Of these an answer need not be signed: they say nothing of what the zone holds. */
const UNSIGNED: ReadonlySet<string> = new Set(['FORMERR', 'SERVFAIL', 'NOTIMP', 'REFUSED', 'NOTAUTH']);

/** The server answered, and said no. */
export class DnsRefusal extends Error {
  override readonly name = 'DnsRefusal';
  /** As RFC 1035, 2136 and 8945 name it: `REFUSED`, `NXRRSET`, `BADKEY`, … */
  readonly code: string;
  /** By how many seconds the server's clock is ahead of ours, with `BADTIME`. */
  readonly skew: number | undefined;

  constructor(code: string, skew?: number) {
    super(`the DNS server says ${code}`);
    this.code = code;
    this.skew = skew;
  }
}

/** One DNS server, by TCP. What it says of the zone counts only where it is signed with our key. */
export class DnsServer {
  /** `host:port`. */
  readonly address: string;
  readonly #server: HostPort;
  readonly #key: KeySource;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  #closed = false;

  constructor(server: HostPort, key: KeySource) {
    this.address = hostPort(server.host, server.port);
    this.#server = server;
    this.#key = key;
  }

  /**
   * Sends one message, which may be sent twice.
   * @throws DnsRefusal; another Error when there was no answer, or none that counts
   */
  async ask(message: Buffer, signal: AbortSignal): Promise<DecodedPacket> {
    const kept = this.#idle.pop();
    if (kept?.isOpen) {
      const answer = await this.#askBy(kept, message, signal).catch((error: Error) => {
        // The server may have closed it just now.
        if (signal.aborted || error instanceof DnsRefusal || error instanceof UntrustedAnswer) throw error;
        return undefined;
      });
      if (answer !== undefined) return answer;
    }
    return this.#askBy(this.#open(), message, signal);
  }

  /** All records of the zone, the SOA first (AXFR, RFC 5936). Throws as `ask`. */
  async transfer(zone: string, signal: AbortSignal): Promise<readonly Answer[]> {
    const records: Answer[] = [];
    let bytes = 0;
    const take = ({ answers = [] }: DecodedPacket, size: number) => {
      for (const record of answers) records.push(record);
      bytes += size;
      if (bytes > MOST_BYTES) throw new Error(`the zone is larger than ${MOST_BYTES} bytes`);
      return records.length > 1 && records.at(-1)?.type === 'SOA';
    };
    await inTime(TRANSFER_MS, signal, (abort) => this.#exchange(this.#open(), question(zone, 'AXFR'), abort, take));
    return records.slice(0, -1);
  }

  close(): void {
    this.#closed = true;
    for (const connection of [...this.#idle, ...this.#busy]) connection.close();
  }

  #open(): Connection {
    if (this.#closed) throw new Error('the connection was closed');
    return new Connection(this.#server);
  }

  async #askBy(connection: Connection, message: Buffer, signal: AbortSignal): Promise<DecodedPacket> {
    let answer: DecodedPacket | undefined;
    await this.#exchange(connection, message, signal, (packet) => {
      answer = packet;
      return true;
    });
    return answer as DecodedPacket;
  }

  /** @param take each message of the answer, with its size; returns whether it was the last one */
  async #exchange(
    connection: Connection,
    message: Buffer,
    signal: AbortSignal,
    take: (packet: DecodedPacket, bytes: number) => boolean,
  ): Promise<void> {
    this.#busy.add(connection);
    try {
      signal.throwIfAborted();
      const key = await this.#key();
      const signed = key && sign(message, key, seconds());
      const reader = key && signed && new TsigReader(key, signed.mac);
      connection.send(signed?.packet ?? message);
      for (let last = false; !last || reader?.isComplete === false; ) {
        const packet = await connection.next(signal);
        last = take(read(packet, message, reader), packet.length) || last;
      }
      this.#idle.push(connection);
    } catch (error) {
      // Of what an answer says, the connection is not to blame.
      if (error instanceof DnsRefusal) this.#idle.push(connection);
      else connection.close();
      throw error;
    } finally {
      this.#busy.delete(connection);
      if (this.#closed) connection.close();
    }
  }
}

function read(packet: Buffer, request: Buffer, reader: TsigReader | undefined): DecodedPacket {
  const answer = readAnswer(packet, request);
  try {
    reader?.read(packet, seconds());
  } catch (error) {
    if (error instanceof TsigRefusal) throw new DnsRefusal(error.code, error.skew);
    if (error instanceof UntrustedAnswer && UNSIGNED.has(answer.rcode)) throw new DnsRefusal(answer.rcode);
    throw error;
  }
  if (answer.rcode !== 'NOERROR') throw new DnsRefusal(answer.rcode);
  return answer;
}

const seconds = () => Math.floor(Date.now() / 1_000);
