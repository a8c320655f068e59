import type { Client } from 'node-zookeeper-client';
import pRetry from 'p-retry';
import { asError } from '../../lib/as-error.ts';
import { type HostPort, hostPort } from '../../lib/host-port.ts';
import { LossSignal } from '../../lib/loss-signal.ts';
import { unlessAborted } from '../../lib/unless-aborted.ts';
import { codeOf, connectionManager, createClient, type Done, knowAllCodes, type SessionId } from './client.ts';

/** A reply to a call: what is not there, is there already, may not be done. `code` is ZooKeeper's (KeeperException). */
export class ZooKeeperError extends Error {
  override readonly name = 'ZooKeeperError';
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

interface Connection {
  readonly client: Client;
  /** Aborts when the connection is over, with the reason. */
  readonly ended: AbortController;
  /** Milliseconds until a call without an answer ends the connection: a third of the session's time-out. */
  readonly callTimeoutMs: number;
}

const CONNECTED = 2;
const DISCONNECTED = 0;
const EXPIRED = -3;
const AUTH_FAILED = -4;

const noop = () => undefined;

/**
 * A ZooKeeper session that outlives its connections. Each connection is a client of its own, which is given the
 * session's ID and password: the client's own reconnecting keeps half-read packets, and clings to a transaction number
 * that a server which lost its data refuses for ever. Once connected, it is connected again whenever that is lost, to
 * the next host, by the same session or, where that is expired, by a new one.
 */
export class ZooKeeperSession {
  readonly #hosts: readonly HostPort[];
  readonly #timeoutMs: number;
  readonly #closed = new AbortController();
  readonly #lossSignal = new LossSignal();
  #next: number;
  #session: SessionId | undefined;
  #connection: Connection | undefined;
  #opening: Promise<void> | undefined;

  /** @param timeoutMs of the session; the server may agree on another within its limits */
  constructor(hosts: readonly HostPort[], timeoutMs: number) {
    this.#hosts = hosts;
    this.#timeoutMs = timeoutMs;
    this.#next = Math.floor(Math.random() * hosts.length);
    knowAllCodes();
  }

  /** The session's ID in hexadecimal, as `Stat.ephemeralOwner` has it; empty before there is one. */
  get id(): string {
    return this.#session?.id.toString('hex') ?? '';
  }

  /** Proves that a server answers: connects, or calls where there is a connection. Rejects with one sentence. */
  async connect(signal: AbortSignal): Promise<void> {
    if (this.#connection !== undefined) {
      await this.call<unknown>(signal, (client, done) => client.exists('/', done));
      return;
    }
    await unlessAborted(this.#open(), signal);
  }

  /**
   * Sends one request of the client.
   * @throws ZooKeeperError when the server says no, another Error when there is no connection or no answer in time
   */
  call<T>(signal: AbortSignal, send: (client: Client, done: Done<T>) => void): Promise<T | undefined> {
    const connection = this.#connection;
    if (connection === undefined) return Promise.reject(new Error('there is no connection to ZooKeeper'));
    const { client, ended, callTimeoutMs } = connection;
    const answer = new Promise<T | undefined>((resolve, reject) => {
      send(client, (error, value) => {
        if (error) reject(new ZooKeeperError(codeOf(error), `ZooKeeper says ${error.name}`));
        else resolve(value);
      });
    });
    const timer = setTimeout(() => ended.abort(new Error('ZooKeeper does not answer in time')), callTimeoutMs);
    return unlessAborted(answer, signal, ended.signal).finally(() => clearTimeout(timer));
  }

  /** Resolves when the connection, and perhaps the session with it, is lost. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#lossSignal.next(signal);
  }

  /** Ends the connection without ending the session, whose ephemeral nodes stay until its time-out. */
  close(): void {
    const reason = new Error('the connection to ZooKeeper is closed');
    this.#closed.abort(reason);
    this.#connection?.ended.abort(reason);
  }

  #open(): Promise<void> {
    this.#opening ??= this.#tryHosts().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #tryHosts(): Promise<void> {
    const reasons: string[] = [];
    for (const _ of this.#hosts) {
      const host = this.#hosts[this.#next++ % this.#hosts.length];
      if (host === undefined) break;
      try {
        const outcome = await this.#connectTo(host);
        if (outcome === 'expired') await this.#connectTo(host);
        return;
      } catch (error) {
        this.#closed.signal.throwIfAborted();
        reasons.push(`${hostPort(host.host, host.port)}: ${asError(error).message}`);
      }
    }
    throw new Error(`No ZooKeeper server answers (${reasons.join('; ')}): check the registry URI and the servers.`);
  }

  async #connectTo(host: HostPort): Promise<'connected' | 'expired'> {
    this.#closed.signal.throwIfAborted();
    const client = createClient(this.#timeoutMs, this.#session);
    const ended = new AbortController();
    const closed = () => ended.abort(this.#closed.signal.reason);
    this.#closed.signal.addEventListener('abort', closed, { once: true });
    const outcome = Promise.withResolvers<'connected' | 'expired'>();
    openSocket(client, host, ended, (state) => {
      if (state === CONNECTED) outcome.resolve('connected');
      if (state === EXPIRED) outcome.resolve('expired');
      if (state === AUTH_FAILED) ended.abort(new Error('the server refuses the authentication'));
      if (state === DISCONNECTED) ended.abort(new Error('the server closed the connection'));
    });
    ended.signal.addEventListener('abort', () => this.#closed.signal.removeEventListener('abort', closed));
    const timeout = callTimeoutMs(this.#timeoutMs);
    const timer = setTimeout(() => ended.abort(new Error('no answer in time')), timeout);
    try {
      const result = await unlessAborted(outcome.promise, ended.signal);
      if (result === 'connected') this.#use(client, ended);
      else {
        this.#session = undefined;
        ended.abort(new Error('the session is expired'));
      }
      return result;
    } finally {
      clearTimeout(timer);
    }
  }

  #use(client: Client, ended: AbortController): void {
    this.#session = { id: client.getSessionId(), password: client.getSessionPassword() };
    const connection = { client, ended, callTimeoutMs: callTimeoutMs(client.getSessionTimeout()) };
    this.#connection = connection;
    // The client pings, but does not mind that nobody answers; this call does.
    const heart = setInterval(() => {
      this.call<unknown>(this.#closed.signal, (to, done) => to.exists('/', done)).catch(noop);
    }, connection.callTimeoutMs);
    ended.signal.addEventListener('abort', () => {
      clearInterval(heart);
      if (this.#connection === connection) this.#connection = undefined;
      if (this.#closed.signal.aborted) return;
      this.#lossSignal.tell('the connection to ZooKeeper was lost');
      void this.#reconnect();
    });
  }

  /** At once, and then about twice a second, so that a session is caught before it expires. */
  async #reconnect(): Promise<void> {
    const forever = Number.POSITIVE_INFINITY;
    const timing = { retries: forever, minTimeout: 100, maxTimeout: 500, randomize: true };
    const options = { ...timing, signal: this.#closed.signal };
    await pRetry(async () => this.#connection ?? (await this.#open()), options).catch(noop);
  }
}

function callTimeoutMs(sessionTimeoutMs: number): number {
  return Math.max(1_000, Math.floor(sessionTimeoutMs / 3));
}

/** Connects the client once, to this host; its own search for servers, with timers that nothing ends, is left out. */
function openSocket(client: Client, host: HostPort, ended: AbortController, state: (state: number) => void): void {
  const manager = connectionManager(client);
  const { onSocketData } = manager;
  manager.findNextServer = (found) => found(host);
  manager.onSocketData = (data) => {
    try {
      onSocketData.call(manager, data);
    } catch {
      ended.abort(new Error('the server does not speak the ZooKeeper protocol'));
    }
  };
  manager.on('state', state);
  client.connect();
  manager.connect = noop;
  manager.socket.on('error', (error) => ended.abort(error));
  ended.signal.addEventListener('abort', () => {
    if (manager.connectTimeoutHandler !== null) clearTimeout(manager.connectTimeoutHandler);
    manager.socket.destroy();
  });
}
