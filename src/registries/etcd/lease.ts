import { LossSignal } from '../../lib/loss-signal.ts';
import { unlessAborted } from '../../lib/unless-aborted.ts';
import type { EtcdClient } from './client.ts';

/** An hour; timers end at 24 days. */
const MAX_INTERVAL_MS = 3_600_000;

/** One lease for everything that a registry writes: granted at first need, kept alive at a third of its TTL. */
export class EtcdLease {
  readonly #client: EtcdClient;
  /** Seconds. */
  readonly #ttl: number;
  readonly #closing = new AbortController();
  readonly #lossSignal = new LossSignal();
  #granting: Promise<string> | undefined;
  #present: string | undefined;
  /** Milliseconds between two signs of life. */
  #intervalMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param ttl in seconds */
  constructor(client: EtcdClient, ttl: number) {
    this.#client = client;
    this.#ttl = ttl;
  }

  /** The lease's ID, as long as nothing says that it is gone. */
  get present(): string | undefined {
    return this.#present;
  }

  /** The present lease's ID, or that of a new one. */
  id(signal: AbortSignal): Promise<string> {
    this.#granting ??= this.#grant();
    return unlessAborted(this.#granting, signal);
  }

  /** Extends the lease now; one that is gone is forgotten. */
  async renew(signal: AbortSignal): Promise<void> {
    const id = this.#present;
    if (id === undefined) return;
    if (await this.#client.keepAlive(id, signal)) this.#schedule(this.#intervalMs);
    else this.forget(id);
  }

  /** Says that etcd does not know this lease: what was bound to it is gone. */
  forget(id: string): void {
    if (this.#present !== id) return;
    clearTimeout(this.#timer);
    this.#present = undefined;
    this.#granting = undefined;
    this.#lossSignal.tell('the etcd lease expired');
  }

  /** Resolves when a lease was forgotten. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#lossSignal.next(signal);
  }

  /** Ends the signs of life. The lease is not revoked: it, and what is bound to it, runs out unless taken over. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closing.abort(new Error('the connection to etcd was closed'));
  }

  async #grant(): Promise<string> {
    try {
      const { id, ttl } = await this.#client.grant(this.#ttl, this.#closing.signal);
      this.#present = id;
      this.#intervalMs = Math.min((ttl * 1_000) / 3, MAX_INTERVAL_MS);
      this.#schedule(this.#intervalMs);
      return id;
    } catch (error) {
      this.#granting = undefined;
      throw error;
    }
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => {
      // Sooner than the next turn, for there may be no turn after it.
      this.renew(this.#closing.signal).catch(() => this.#schedule((this.#intervalMs / 4) * (0.5 + Math.random())));
    }, delayMs);
  }
}
