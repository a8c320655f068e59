import { once } from 'node:events';
import zookeeper, { type Client } from 'node-zookeeper-client';
import type { Done } from '../../src/registries/zookeeper/client.ts';

/** A node's data, and the session that it is of. */
export interface NodeRead {
  readonly text: string;
  /** In hex; all zeros for a persistent node. */
  readonly session: string;
  /** The transactions that made it and that wrote it last. */
  readonly stamp: string;
}

/** Somebody else at a ZooKeeper server, by the client library alone. */
export class ZooKeeperClient implements AsyncDisposable {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = zookeeper.createClient(address, { sessionTimeout: 5_000, retries: 0 });
  }

  async connect(): Promise<this> {
    const connected = once(this.#client, 'connected', { signal: AbortSignal.timeout(5_000) });
    this.#client.connect();
    try {
      await connected;
    } catch (error) {
      this.close();
      throw error;
    }
    return this;
  }

  async create(path: string, data: string, mode: 'PERSISTENT' | 'EPHEMERAL'): Promise<void> {
    const modeOf = zookeeper.CreateMode[mode];
    await this.#call<string>((client, done) => client.create(path, Buffer.from(data), modeOf, done));
  }
  async remove(path: string): Promise<void> {
    await this.#call<void>((client, done) => client.remove(path, done));
  }
  children(path: string): Promise<string[] | undefined> {
    return this.#call<string[]>((client, done) => client.getChildren(path, done));
  }
  read(path: string): Promise<NodeRead | undefined> {
    return this.#call((client, done) =>
      client.getData(path, (error, data, stat) => {
        const { czxid, mzxid } = (stat ?? {}) as { czxid?: Buffer; mzxid?: Buffer };
        const stamp = `${czxid?.toString('hex')} ${mzxid?.toString('hex')}`;
        done(error, { text: data?.toString() ?? '', session: stat?.ephemeralOwner.toString('hex') ?? '', stamp });
      }),
    );
  }
  exists(path: string): Promise<boolean> {
    return this.#call<object | null>((client, done) => client.exists(path, done)).then((stat) => stat !== null);
  }

  /** Ends the session, and with it its ephemeral nodes. */
  close(): void {
    this.#client.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #call<T>(send: (client: Client, done: Done<T>) => void): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      send(this.#client, (error, value) => (error ? reject(error) : resolve(value)));
    });
  }
}
