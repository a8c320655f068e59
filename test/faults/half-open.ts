import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy whose connections can be stranded: nothing passes on them any more and nobody is told, as when a host on
 * the way went down. New connections work.
 */
export class HalfOpenProxy implements AsyncDisposable {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(targetPath: string) {
    this.#server = createServer((client) => {
      const target = connect(targetPath);
      for (const [from, to] of [[client, target] as const, [target, client] as const]) {
        this.#sockets.add(from);
        from.on('error', () => from.destroy());
        from.once('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((listening) => this.#server.listen(0, '127.0.0.1', listening));
    return this;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get open(): number {
    return this.#sockets.size / 2;
  }

  strand(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.#server.close(closed));
  }
}
