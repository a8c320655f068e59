import type { Socket } from 'node:net';
import zookeeper, { type Client } from 'node-zookeeper-client';
import { compact } from '../../lib/compact.ts';

/**
 * The inside of node-zookeeper-client, as far as session.ts reaches into it; its types (DefinitelyTyped) end where it is
 * meant to be used. It may change with any version: package.json names the exact one.
 */
interface Inside {
  readonly connectionManager: ConnectionManager;
}

interface ConnectionManager {
  socket: Socket;
  connectTimeoutHandler: NodeJS.Timeout | null;
  connect(): void;
  findNextServer(callback: (server: { readonly host: string; readonly port: number }) => void): void;
  onSocketData(data: Buffer): void;
  on(event: 'state', listener: (state: number) => void): void;
}

/** How a call of the client ends. */
export type Done<T> = (error: Error | zookeeper.Exception | null, value: T) => void;

export interface SessionId {
  readonly id: Buffer;
  readonly password: Buffer;
}

/** A client that has not connected yet, for a session that is there already or for a new one. */
export function createClient(sessionTimeoutMs: number, session: SessionId | undefined): Client {
  // Its types know nothing of sessions that go on.
  const going = compact({ sessionId: session?.id, sessionPassword: session?.password });
  return zookeeper.createClient('unused', { sessionTimeout: sessionTimeoutMs, retries: 0, ...going });
}

export const connectionManager = (client: Client) => (client as Client & Inside).connectionManager;

/** ZooKeeper's code of why it says no. */
export const codeOf = (error: Error | zookeeper.Exception): number =>
  'getCode' in error ? error.getCode() : zookeeper.Exception.SYSTEM_ERROR;

/** The codes of newer servers (quota exceeded, session moved …) fail an assertion in the client, and so the process. */
export function knowAllCodes(): void {
  const exceptions = zookeeper.Exception as unknown as { create(code: number, path?: string): unknown };
  const { create } = exceptions;
  if (Object.hasOwn(create, 'knowsAllCodes')) return;
  const tolerant = (code: number, path?: string) => {
    try {
      return create(code, path);
    } catch {
      return Object.assign(new Error(`code ${code}`), { name: `error ${code}`, getCode: () => code });
    }
  };
  exceptions.create = Object.assign(tolerant, { knowsAllCodes: true });
}
