import { rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Where to listen or connect: a port of 127.0.0.1, or the path of a Unix socket. */
export type Endpoint = number | string;

/** A proxy between a client and a server that can be told to be a bad network. */
export class FaultProxy implements AsyncDisposable {
  readonly #target: Endpoint;
  readonly #listen: Endpoint;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #server: Server | undefined;
  #port = 0;
  #stalled = false;
  /** Milliseconds that each chunk waits in either direction. */
  delayMs = 0;
  /** Connections taken so far. */
  connections = 0;

  /** @param listen 0 or absent: any free port */
  constructor(target: Endpoint, listen: Endpoint = 0) {
    this.#target = target;
    this.#listen = listen;
  }

  get port(): number {
    return this.#port;
  }
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }
  get open(): number {
    return this.#pairs.size;
  }

  /** Listens, on the same port or path as before where it was stopped. */
  async start(): Promise<this> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    await new Promise<void>((listening, failed) => {
      server.once('error', failed);
      if (typeof this.#listen === 'string') server.listen(this.#listen, listening);
      else server.listen(this.#port || this.#listen, '127.0.0.1', listening);
    });
    if (typeof this.#listen === 'number') this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Refuses connections, and resets those that are open; removes a Unix socket's path. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cut();
    await closed;
    if (typeof this.#listen === 'string') await rm(this.#listen, { force: true });
  }

  /** Passes nothing on and closes nothing, as a network that lost its route; new connections are taken and hang. */
  stall(): void {
    this.#stalled = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Passes on again, what waited included. */
  resume(): void {
    this.#stalled = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** Resets every open connection; new ones are taken. */
  cut(): void {
    for (const [client, server] of this.#pairs) {
      if (typeof this.#listen === 'number') client.resetAndDestroy();
      else client.destroy();
      server.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #accept(client: Socket): void {
    this.connections++;
    const options =
      typeof this.#target === 'string' ? { path: this.#target } : { host: '127.0.0.1', port: this.#target };
    const server = connect({ ...options, allowHalfOpen: true });
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    this.#pass(client, server);
    this.#pass(server, client);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.once('error', end);
      if (this.#stalled) socket.pause();
    }
    let left = 2;
    for (const socket of pair) socket.once('close', () => --left === 0 && this.#pairs.delete(pair));
  }

  #pass(from: Socket, to: Socket): void {
    let order = Promise.resolve();
    const inOrder = (step: () => void) => {
      const wait = this.delayMs === 0 ? undefined : delay(this.delayMs);
      order = order.then(() => wait).then(step);
    };
    from.on('data', (chunk: Buffer) => {
      inOrder(() => {
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once('drain', () => this.#stalled || from.resume());
      });
    });
    from.once('end', () => inOrder(() => void to.end()));
  }
}
