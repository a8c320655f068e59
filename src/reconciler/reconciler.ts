import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import type { Logger } from '../ops/index.ts';
import { BatchError, type Entry, RefusedError, type Registry } from '../registries/index.ts';
import type { Service } from '../services/index.ts';
import { retryDelay } from './backoff.ts';
import type { Desired } from './desired.ts';
import { KeyedQueue } from './queue.ts';
import { Wanted, type WantedEntry } from './wanted.ts';

export interface ReconcilerOptions {
  /** Milliseconds between two readings of the registry; 0 for none. */
  readonly resyncMs: number;
  /** Milliseconds between two heartbeats; 0 where nothing expires. */
  readonly heartbeatMs: number;
  /** How often to try the first connection, beyond the first try; Infinity for ever. */
  readonly retryAttempts: number;
  /** Milliseconds between the first two tries of a connection. */
  readonly retryIntervalMs: number;
}

interface Held {
  readonly entry: Entry;
  readonly service?: Service;
}

/** Requests under way at once to one registry. */
const CONCURRENCY = 16;
/** No two readings of a registry that drops connections come closer than this, in milliseconds. */
const SETTLE_MS = 500;

/** Makes one registry hold exactly the desired services. Knows no Docker, and nothing of the registry but its interface. */
export class Reconciler {
  readonly registry: Registry;
  readonly #desired: Desired;
  readonly #options: ReconcilerOptions;
  readonly #log: Logger;
  readonly #wanted = new Wanted();
  /** What the registry holds of ours, as far as we know, with the service that we wrote it for. */
  readonly #actual = new Map<string, Held>();
  readonly #queue: KeyedQueue;
  /** Keys written since the reading under way began: what it says of them is out of date. */
  #touched: Set<string> | undefined;
  /** Ends the present connection: it is made again, and the registry read again. */
  #trouble: (reason: string) => void = () => undefined;
  #probing = false;
  #connected = false;
  #readable = true;
  /** Told already. */
  readonly #conflicts = new Set<string>();

  constructor(registry: Registry, desired: Desired, options: ReconcilerOptions, log: Logger) {
    this.registry = registry;
    this.#desired = desired;
    this.#options = options;
    this.#log = log.child({ registry: registry.name });
    this.#queue = new KeyedQueue({ concurrency: CONCURRENCY, batchSize: registry.batchSize, retryDelay });
    this.#queue.pause();
  }

  /** Whether the registry answers and holds all that is wanted. */
  get inSync(): boolean {
    return this.#connected && this.#queue.depth === 0 && this.#queue.failing === 0;
  }

  /**
   * Works until the signal aborts.
   * @throws the registry's last error when the first connection did not come about in `retryAttempts`
   */
  async run(signal: AbortSignal): Promise<void> {
    for (const service of this.#desired.services()) this.#want(service);
    const unlisten = this.#desired.listen(({ before, after }) => this.#change(before, after));
    this.#queue.start((keys, abort) => this.#work(keys, abort), signal);
    const heart = this.#beat(signal);
    try {
      for (let first = true; !signal.aborted; first = false) {
        await this.#connect(first, signal);
        await this.#stayInSync(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      unlisten();
      await heart;
    }
  }

  /** Resolves when nothing is left to do now, or the registry is away. */
  async settled(): Promise<void> {
    if (this.#connected) await this.#queue.idle();
  }

  /** Removes everything of ours from the registry; for `--deregister-on-exit`, after `run` has ended. */
  async deregisterAll(signal: AbortSignal): Promise<void> {
    if (!this.#connected) return;
    const own = [...this.#actual.keys()].filter((key) => this.#wanted.get(key) !== undefined);
    const entries = own.flatMap((key) => this.#actual.get(key)?.entry ?? []);
    for (let at = 0; at < entries.length; at += CONCURRENCY * this.registry.batchSize) {
      const part = entries.slice(at, at + CONCURRENCY * this.registry.batchSize);
      const batches = Array.from({ length: Math.ceil(part.length / this.registry.batchSize) }, (_, n) =>
        part.slice(n * this.registry.batchSize, (n + 1) * this.registry.batchSize),
      );
      await Promise.all(batches.map((batch) => this.registry.deregister(batch, signal)));
    }
    this.#log.info({ services: entries.length }, 'deregistered every service, as --deregister-on-exit asks');
  }

  async #connect(first: boolean, signal: AbortSignal): Promise<void> {
    let away = false;
    await pRetry(() => this.registry.connect(signal), {
      retries: first ? this.#options.retryAttempts : Number.POSITIVE_INFINITY,
      minTimeout: this.#options.retryIntervalMs,
      maxTimeout: Math.max(15_000, this.#options.retryIntervalMs),
      randomize: true,
      signal,
      // p-retry takes a TypeError for a programming error and gives up; here every failure is an outage.
      shouldRetry: () => true,
      onFailedAttempt: ({ error }) => {
        if (!away)
          this.#log.warn(
            { err: error.message },
            'the registry does not answer; services wait here, and it is tried again',
          );
        away = true;
      },
    });
    if (away || !this.#connected)
      this.#log.info(first && !away ? 'connected to the registry' : 'the registry answers again');
    this.#connected = true;
  }

  /** Reads the registry and keeps it right, until it seems to be away or to have lost something. */
  async #stayInSync(signal: AbortSignal): Promise<void> {
    const trouble = Promise.withResolvers<string>();
    this.#trouble = trouble.resolve;
    const connection = new AbortController();
    const ended = AbortSignal.any([signal, connection.signal]);
    ended.addEventListener('abort', () => trouble.resolve('stopping'), { once: true });
    this.registry.lost?.(ended).then(trouble.resolve, () => undefined);
    try {
      await this.#read(ended);
      this.#readable = true;
      this.#queue.resume();
      void this.#desired.completed.then(() => ended.aborted || this.#markDifferences());
      void this.#resync(ended);
      const reason = await trouble.promise;
      this.#log.debug({ reason }, 'reading the registry again: what was written may be lost');
    } catch (error) {
      if (!signal.aborted && this.#readable) {
        this.#log.warn(
          { err: message(error) },
          'the registry cannot be read; services wait here, and it is tried again',
        );
      }
      this.#readable = false;
    } finally {
      connection.abort();
    }
    await sleep(SETTLE_MS * (0.5 + Math.random()), undefined, { signal });
  }

  async #resync(signal: AbortSignal): Promise<void> {
    if (this.#options.resyncMs === 0) return;
    try {
      for (;;) {
        await sleep(this.#options.resyncMs, undefined, { signal });
        await this.#read(signal);
      }
    } catch (error) {
      this.#trouble(message(error));
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    const touched = new Set<string>();
    this.#touched = touched;
    try {
      const entries = await this.registry.registered(signal);
      const found = new Set<string>();
      for (const entry of entries) {
        found.add(entry.key);
        if (!touched.has(entry.key)) this.#actual.set(entry.key, { ...this.#actual.get(entry.key), entry });
      }
      let gone = 0;
      for (const key of this.#actual.keys()) {
        if (found.has(key) || touched.has(key)) continue;
        this.#actual.delete(key);
        if (this.#wanted.get(key) !== undefined) gone += 1;
      }
      if (gone > 0)
        this.#log.warn({ gone }, `${gone} services of this host were gone from the registry; registering them again`);
    } finally {
      this.#touched = undefined;
    }
    this.#markDifferences();
  }

  #markDifferences(): void {
    for (const key of new Set([...this.#wanted.keys, ...this.#actual.keys()])) {
      // What waits out a failure keeps waiting: the reading has not made it better.
      if (this.#difference(key) !== 'none' && this.#queue.failuresOf(key) === 0) this.#queue.add(key);
    }
  }

  #difference(key: string): 'register' | 'refresh' | 'deregister' | 'none' {
    const wanted = this.#wanted.get(key)?.entry;
    const actual = this.#actual.get(key)?.entry;
    if (wanted === undefined) {
      const stale = actual !== undefined && this.#desired.complete && !this.#desired.isKept(actual.id);
      return stale ? 'deregister' : 'none';
    }
    if (actual?.content !== wanted.content) return 'register';
    return actual.health === wanted.health || this.registry.refresh === undefined ? 'none' : 'refresh';
  }

  #change(before: readonly Service[], after: readonly Service[]): void {
    if (before.length === 0 && after.length === 0) this.#markDifferences();
    const keys = new Set<string>();
    for (const service of before) {
      const { key } = this.registry.entry(service);
      this.#wanted.remove(key, service);
      keys.add(key);
    }
    for (const service of after) keys.add(this.#want(service));
    for (const key of keys) this.#queue.add(key);
  }

  #want(service: Service): string {
    const entry = this.registry.entry(service);
    const claims = this.#wanted.add({ service, entry });
    if (claims.length > 1) this.#tellOfConflict(entry.key, claims);
    return entry.key;
  }

  async #work(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>> {
    const register: WantedEntry[] = [];
    const refresh: WantedEntry[] = [];
    const deregister: Held[] = [];
    for (const key of keys) {
      const wanted = this.#wanted.get(key);
      const actual = this.#actual.get(key);
      const difference = this.#difference(key);
      if (difference === 'register' && wanted !== undefined) register.push(wanted);
      if (difference === 'refresh' && wanted !== undefined) refresh.push(wanted);
      if (difference === 'deregister' && actual !== undefined) deregister.push(actual);
    }
    const failed = new Map<string, Error>();
    const services = (entries: readonly WantedEntry[]) => entries.map(({ service }) => service);
    // Register first: where an instance moves to another key, there is one at every moment.
    await this.#attempt(register, failed, 'register', (batch) => this.registry.register(services(batch), signal));
    await this.#attempt(refresh, failed, 'refresh', async (batch) => this.registry.refresh?.(services(batch), signal));
    await this.#attempt(deregister, failed, 'deregister', (batch) =>
      this.registry.deregister(
        batch.map(({ entry }) => entry),
        signal,
      ),
    );
    if ([...failed.values()].some((error) => !(error instanceof RefusedError))) void this.#probe(signal);
    return failed;
  }

  async #attempt<T extends Held>(
    batch: readonly T[],
    failed: Map<string, Error>,
    action: 'register' | 'refresh' | 'deregister',
    send: (batch: readonly T[]) => Promise<void>,
  ): Promise<void> {
    if (batch.length === 0) return;
    let failures: ReadonlyMap<string, Error> = new Map();
    await send(batch).catch((error: unknown) => {
      failures =
        error instanceof BatchError ? error.failures : new Map(batch.map(({ entry }) => [entry.key, asError(error)]));
    });
    for (const { entry, service } of batch) {
      this.#touched?.add(entry.key);
      const failure = failures.get(entry.key);
      if (failure !== undefined) {
        failed.set(entry.key, failure);
        this.#tellOfFailure(action, entry, service, failure);
        continue;
      }
      if (action === 'deregister') this.#actual.delete(entry.key);
      else this.#actual.set(entry.key, service === undefined ? { entry } : { entry, service });
      this.#tellOfSuccess(action, entry, service);
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    if (this.registry.refresh === undefined || this.#options.heartbeatMs === 0) return;
    for (;;) {
      await sleep(this.#options.heartbeatMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      if (!this.#connected) continue;
      const due: Service[] = [];
      for (const { service, entry } of this.#wanted.values()) {
        const expires = service.ttl !== undefined || service.check?.type === 'docker';
        if (expires && this.#actual.get(entry.key)?.entry.content === entry.content) due.push(service);
      }
      if (due.length === 0) continue;
      await this.registry.refresh(due, signal).catch((error: unknown) => this.#trouble(message(error)));
    }
  }

  /** After a failure: is the registry away, or is it only this service? The others wait for neither answer. */
  async #probe(signal: AbortSignal): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    await this.registry.connect(signal).catch((error: unknown) => {
      this.#queue.pause();
      this.#trouble(message(error));
    });
    this.#probing = false;
  }

  #tellOfFailure(action: string, entry: Entry, service: Service | undefined, error: Error): void {
    const fields = { ...about(entry, service), err: error.message };
    if (error instanceof RefusedError) {
      this.#log.warn(
        fields,
        `the registry refuses to ${action} this service; the others go on, and it is tried again later`,
      );
      return;
    }
    const again = this.#queue.failuresOf(entry.key) > 0;
    this.#log[again ? 'debug' : 'warn'](fields, `could not ${action} this service; trying again, less often each time`);
  }

  #tellOfSuccess(action: string, entry: Entry, service: Service | undefined): void {
    if (action === 'refresh') {
      this.#log.info({ ...about(entry, service), health: entry.health ?? 'passing' }, 'health changed');
    } else {
      const address = entry.address.includes(':') ? `[${entry.address}]` : entry.address;
      this.#log.info({ ...about(entry, service), address: `${address}:${entry.port}` }, `${action}ed`);
    }
  }

  #tellOfConflict(key: string, claims: readonly WantedEntry[]): void {
    const names = claims.map(({ service }) => service.origin.containerName);
    const conflict = `${key} ${names.join(' ')}`;
    if (this.#conflicts.has(conflict) || this.#conflicts.size > 10_000) return;
    this.#conflicts.add(conflict);
    this.#log.warn(
      { service: claims[0]?.service.name, id: claims[0]?.service.id, containers: names },
      `containers ${names.join(' and ')} claim the same entry; ${names[0]}, which started last, has it: give them different SERVICE_ID labels`,
    );
  }
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));
const message = (error: unknown) => asError(error).message;

function about(entry: Entry, service: Service | undefined): Record<string, string> {
  return {
    service: entry.name,
    id: entry.id,
    ...(service === undefined ? {} : { container: service.origin.containerName }),
  };
}
