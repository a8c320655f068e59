/** The part of node-zookeeper-client (which has no types of its own) that zookeeper*.ts use, its inside included. */
declare module 'node-zookeeper-client' {
  import type { Socket } from 'node:net';

  export interface Exception extends Error {
    getCode(): number;
  }
  export type Done<T> = (error: Exception | null | undefined, value?: T) => void;

  export interface Stat {
    /** 8 bytes: the session of an ephemeral node, zeros for a persistent one. */
    readonly ephemeralOwner: Buffer;
  }

  export interface Transaction {
    create(path: string, data: Buffer, mode: number): Transaction;
    remove(path: string): Transaction;
    commit(callback: Done<unknown>): void;
  }

  /** State numbers: 2 connected, 0 disconnected, -3 session expired, -4 authentication failed. */
  export interface ConnectionManager {
    socket: Socket;
    connectTimeoutHandler: NodeJS.Timeout | null;
    connect(): void;
    findNextServer(callback: (server: { host: string; port: number }) => void): void;
    onSocketData(data: Buffer): void;
    on(event: 'state', listener: (state: number) => void): void;
  }

  export interface Client {
    readonly connectionManager: ConnectionManager;
    connect(): void;
    getSessionId(): Buffer;
    getSessionPassword(): Buffer;
    /** Milliseconds, as agreed with the server. */
    getSessionTimeout(): number;
    create(path: string, data: Buffer, mode: number, callback: Done<string>): void;
    remove(path: string, callback: Done<void>): void;
    exists(path: string, callback: Done<Stat | null>): void;
    getData(path: string, callback: (error: Exception | null | undefined, data?: Buffer, stat?: Stat) => void): void;
    getChildren(path: string, callback: Done<string[]>): void;
    transaction(): Transaction;
  }

  const zookeeper: {
    createClient(
      hosts: string,
      options: { sessionTimeout: number; retries: number; sessionId?: Buffer; sessionPassword?: Buffer },
    ): Client;
    readonly CreateMode: { readonly PERSISTENT: number; readonly EPHEMERAL: number };
    readonly Exception: {
      create(code: number, path?: string): Exception;
      readonly NO_NODE: number;
      readonly NODE_EXISTS: number;
      readonly NOT_EMPTY: number;
      readonly NO_AUTH: number;
      readonly BAD_ARGUMENTS: number;
      readonly NO_CHILDREN_FOR_EPHEMERALS: number;
    };
  };
  export default zookeeper;
}
