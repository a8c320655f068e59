import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import pRetry from 'p-retry';
import { asError } from '../lib/as-error.ts';
import { batches } from '../lib/batches.ts';
import { compact } from '../lib/compact.ts';
import type { Logger } from '../lib/log/index.ts';
import { KeyedQueue } from '../lib/work-queue.ts';
import {
  BatchError,
  ConflictError,
  type Entry,
  isHeld,
  RefusedError,
  type Registry,
  UnusableError,
} from '../registries/index.ts';
import type { Service } from '../services/index.ts';
import { ClaimTable, type WantedEntry } from './claim-table.ts';
import type { DesiredState } from './desired-state.ts';
import { difference, lostClaim } from './difference.ts';
import { Disputes } from './disputes.ts';
import { Expulsions } from './expulsions.ts';
import { ReconcilerLog } from './reconciler-log.ts';
import { retryDelay } from './retry-delay.ts';
import type { Action, Conflict, Difference, RegistryStatus, WriteObserver } from './status.ts';

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

interface ActualEntry {
  readonly entry: Entry;
  readonly service?: Service;
}

/** Requests under way at once to one registry: where it takes one service each, more of them are quicker up to here. */
const CONCURRENCY = 48;
/** How many removed keys are remembered. */
const MEMORY = 10_000;
/** Milliseconds between two tries of a connection, at the most. */
const LONGEST_WAIT = 5_000;
/** No two readings of a registry that drops connections come closer than this, in milliseconds. */
const SETTLE_MS = 500;

/** Makes one registry hold exactly the desired services. Knows no Docker, and nothing of the registry but its interface. */
export class Reconciler {
  readonly registry: Registry;
  readonly #desired: DesiredState;
  readonly #options: ReconcilerOptions;
  readonly #log: ReconcilerLog;
  readonly #wanted = new ClaimTable();
  /** What the registry holds of ours, as far as we know, with the service that we wrote it for. */
  readonly #actual = new Map<string, ActualEntry>();
  readonly #queue: KeyedQueue;
  /** Keys written since the reading under way began: what it says of them is out of date. */
  #touched: Set<string> | undefined;
  /** Ends the present connection: it is made again, and the registry read again. */
  #trouble: (reason: string) => void = () => undefined;
  #probing = false;
  #connected = false;
  #readable = true;
  /** Whether it answered the last time, and was read since. */
  #up = false;
  #resyncedAt: number | undefined;
  readonly #observer: WriteObserver | undefined;
  readonly #disputes: Disputes;
  /** Who holds what we want, by key. */
  readonly #conflicts = new Map<string, string>();
  readonly #expulsions = new Expulsions();
  /** Why the last write of a key failed, until one succeeds. */
  readonly #errors = new Map<string, Error>();
  /** Keys that we removed: one that is there again was put back by somebody. */
  readonly #removed = new Set<string>();

  constructor(
    registry: Registry,
    desired: DesiredState,
    options: ReconcilerOptions,
    log: Logger,
    observer?: WriteObserver,
  ) {
    this.registry = registry;
    this.#desired = desired;
    this.#options = options;
    this.#observer = observer;
    this.#log = new ReconcilerLog(log, registry.name);
    this.#queue = new KeyedQueue({
      concurrency: CONCURRENCY,
      batchSize: registry.batchSize,
      retryDelay,
      groupOf: (key) => (this.#wanted.get(key) ?? this.#actual.get(key))?.service?.origin.containerId ?? '',
    });
    this.#queue.pause();
    this.#disputes = new Disputes(options.resyncMs || 60_000);
  }

  get status(): RegistryStatus {
    return compact({
      name: this.registry.name,
      up: this.#up,
      services: this.#wanted.size,
      queue: this.#queue.depth,
      failing: this.#queue.failing,
      conflicts: [...this.#conflicts].flatMap(([key, holder]) => this.#conflict(key, holder)),
      resyncedAt: this.#resyncedAt,
    });
  }

  /** What the registry does not hold as it should: looked through when it is asked for. */
  differences(): readonly Difference[] {
    const differences: Difference[] = [];
    for (const key of new Set([...this.#wanted.keys, ...this.#actual.keys()])) {
      const isMissing = this.#wanted.get(key) !== undefined && !this.#actual.has(key);
      if (isMissing || this.#difference(key) !== 'none') differences.push(this.#describe(key));
    }
    for (const { loser, holder } of this.#wanted.losers()) differences.push(lostClaim(loser, holder));
    return differences;
  }

  #describe(key: string): Difference {
    const error = this.#errors.get(key);
    const waits = !this.#disputes.mayMend(key, performance.now());
    const expelled = this.#difference(key) === 'none';
    return difference(this.#wanted.get(key), this.#actual.get(key)?.entry, { up: this.#up, error, waits, expelled });
  }

  /**
   * Works until the signal aborts.
   * @throws the registry's last error when the first connection did not come about in `retryAttempts`
   */
  async run(signal: AbortSignal): Promise<void> {
    this.registry.setWhole?.(false);
    for (const service of this.#desired.services()) if (isHeld(this.registry, service)) this.#want(service);
    const unlisten = this.#desired.listen(({ before, after }) => this.#change(before, after));
    this.#queue.start((keys, abort) => this.#work(keys, abort), signal);
    const ending = new AbortController();
    const heart = this.#beat(AbortSignal.any([signal, ending.signal]));
    try {
      for (let first = true; !signal.aborted; first = false) {
        await this.#connect(first, signal);
        await this.#stayInSync(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      unlisten();
      ending.abort();
      await heart;
    }
  }

  #conflict(key: string, holder: string): Conflict[] {
    const service = this.#wanted.get(key)?.service;
    if (service === undefined) return [];
    const { containerId, containerName } = service.origin;
    return [{ containerId, containerName, serviceId: service.id, service: service.name, holder }];
  }

  /** Resolves when nothing is left to do now, or the registry is away. */
  async settled(): Promise<void> {
    if (this.#connected) await this.#queue.idle();
  }

  /**
   * Removes everything of ours from the registry; for `--deregister-on-exit`, after `run` has ended.
   * @throws BatchError with what could not be removed, when all the rest is
   */
  async deregisterAll(signal: AbortSignal): Promise<void> {
    if (!this.#connected) return;
    const own = [...this.#actual.keys()].filter((key) => this.#wanted.get(key) !== undefined);
    const entries = own.flatMap((key) => this.#actual.get(key)?.entry ?? []);
    const failures = new Map<string, Error>();
    await pMap(
      batches(entries, this.registry.batchSize),
      async (batch) => {
        const failed = await failuresOf(batch, this.registry.deregister(batch, signal));
        for (const [key, failure] of failed) failures.set(key, failure);
      },
      { concurrency: CONCURRENCY },
    );
    if (failures.size > 0) throw new BatchError(failures);
    this.#log.deregisteredAll(entries.length);
  }

  async #connect(first: boolean, signal: AbortSignal): Promise<void> {
    let away = false;
    await pRetry(() => this.registry.connect(signal), {
      retries: first ? this.#options.retryAttempts : Number.POSITIVE_INFINITY,
      minTimeout: this.#options.retryIntervalMs,
      maxTimeout: Math.max(LONGEST_WAIT, this.#options.retryIntervalMs),
      randomize: true,
      signal,
      shouldRetry: ({ error }) => !(error instanceof UnusableError),
      onFailedAttempt: ({ error }) => {
        if (!away && !(error instanceof UnusableError)) this.#log.away(error);
        away = true;
        this.#up = false;
      },
    });
    if (away) this.#log.back();
    else if (first) this.#log.connected();
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
      this.#up = true;
      this.#queue.resume();
      void this.#whenComplete(ended);
      void this.#resync(ended);
      const reason = await trouble.promise;
      this.#log.readingAgain(reason);
    } catch (error) {
      if (!signal.aborted && this.#readable) this.#log.unreadable(message(error));
      this.#readable = false;
      this.#up = false;
    } finally {
      connection.abort();
    }
    await sleep(SETTLE_MS * (0.5 + Math.random()), undefined, { signal });
  }

  async #whenComplete(ended: AbortSignal): Promise<void> {
    await this.#desired.completed;
    if (ended.aborted) return;
    this.#markDifferences();
    await this.#queue.idle();
    this.registry.setWhole?.(true);
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
    const read = await this.registry.registered(signal).finally(() => {
      this.#touched = undefined;
    });
    this.#resyncedAt = Date.now();
    const found = new Map(read.filter(({ key }) => !touched.has(key)).map((entry) => [entry.key, entry]));
    const gone = [...this.#actual.keys()].filter((key) => !found.has(key) && !touched.has(key));
    const expelled = new Set(gone.filter((key) => this.#noteExpulsion(key)));
    const lost = gone.filter((key) => !expelled.has(key));
    if (lost.length > 0 && found.size === 0) this.#disputes.clear();
    else this.#noteDisputes(found, lost);
    for (const key of gone) this.#actual.delete(key);
    for (const [key, entry] of found) {
      this.#actual.set(key, { ...this.#actual.get(key), entry });
      if (this.#conflicts.has(key)) this.#endConflict(key);
    }
    const others = this.registry.others?.();
    const missed = lost.filter((key) => this.#wanted.get(key) !== undefined && !others?.holders.has(key));
    this.#log.gone(missed.length);
    if (others !== undefined) this.#log.twins(others, this.registry.name);
    // The way is free again, as far as the registry can tell without a try.
    const free = [...this.#conflicts.keys()].filter((key) => others?.holders.has(key) !== true);
    this.#markDifferences(new Set([...lost, ...free]));
  }

  /** Whether the registry removed the entry itself: then it comes back later. */
  #noteExpulsion(key: string): boolean {
    const service = this.#wanted.get(key)?.service;
    if (service === undefined || this.registry.expelled?.(service) !== true) return false;
    this.#log.expelled(service, this.#expulsions.note(key, service, performance.now()));
    return true;
  }

  /** Counts what was right when it was last read or written, and is not now. */
  #noteDisputes(found: ReadonlyMap<string, Entry>, lost: readonly string[]): void {
    const now = performance.now();
    const back = [...found.keys()].filter((key) => !this.#actual.has(key) && this.#removed.has(key));
    this.#log.returned(back.filter((key) => this.#disputes.foundBack(key, now)));
    const changed = [...found.values()].filter(
      ({ key, content }) => this.#isRight(key) && content !== this.#wanted.get(key)?.entry.content,
    );
    const holders = this.registry.others?.().holders;
    const removed = lost.filter((key) => this.#isRight(key) && !holders?.has(key));
    const keys = [...changed.map(({ key }) => key), ...removed];
    this.#log.dispute(keys.filter((key) => this.#disputes.foundChanged(key, now)));
  }

  #isRight(key: string): boolean {
    const wanted = this.#wanted.get(key)?.entry.content;
    return wanted !== undefined && this.#actual.get(key)?.entry.content === wanted;
  }

  /** @param lost keys that the registry was found to hold no more, or that somebody else held until now */
  #markDifferences(lost: ReadonlySet<string> = new Set()): void {
    const now = performance.now();
    for (const key of new Set([...this.#wanted.keys, ...this.#actual.keys()])) {
      // A key that waits after a failure, or in a dispute, goes on waiting: reading the registry has not changed that. But if
      // its entry has vanished there, the failure was with the old entry (its health could not be reported, say), and a new
      // one is registered at once.
      const failed = this.#queue.failuresOf(key) > 0 && !lost.has(key);
      const waits = failed || !this.#disputes.mayMend(key, now);
      if (!waits && this.#difference(key) !== 'none') this.#queue.add(key);
    }
  }

  #difference(key: string): 'register' | 'refresh' | 'deregister' | 'none' {
    const { entry: wanted, service } = this.#wanted.get(key) ?? {};
    const actual = this.#actual.get(key)?.entry;
    if (wanted === undefined || service === undefined) {
      const stale = actual !== undefined && this.#desired.complete && !this.#desired.isKept(actual.id);
      return stale ? 'deregister' : 'none';
    }
    if (actual === undefined && this.#expulsions.holds(key, service, performance.now())) return 'none';
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
    for (const service of after) if (isHeld(this.registry, service)) keys.add(this.#want(service));
    for (const key of keys) {
      if (this.#wanted.get(key) === undefined) this.#endConflict(key);
      this.#queue.add(key);
    }
  }

  #endConflict(key: string): void {
    this.#conflicts.delete(key);
    this.#errors.delete(key);
    this.#log.over(key);
  }

  #want(service: Service): string {
    const entry = this.registry.entry(service);
    const claims = this.#wanted.add({ service, entry });
    if (claims.length > 1) this.#log.conflict(entry.key, claims);
    this.#noteDnsName(service);
    return entry.key;
  }

  #noteDnsName(service: Service): void {
    if (this.registry.dnsName === undefined) return;
    const dnsName = this.registry.dnsName(service.name);
    // DNS does not mind case.
    const isAsNamed = dnsName?.toLowerCase().startsWith(`${service.name.toLowerCase()}.`);
    if (!isAsNamed) this.#log.otherDnsName(service, dnsName);
  }

  async #work(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>> {
    const register: WantedEntry[] = [];
    const refresh: WantedEntry[] = [];
    const deregister: ActualEntry[] = [];
    for (const key of keys) {
      const wanted = this.#wanted.get(key);
      const actual = this.#actual.get(key);
      const difference = this.#difference(key);
      if (difference === 'none') this.#errors.delete(key);
      if (difference === 'register' && wanted !== undefined) register.push(wanted);
      if (difference === 'refresh' && wanted !== undefined) refresh.push(wanted);
      // It may have been marked before it came back once too often.
      const isStale = difference === 'deregister' && !this.#disputes.isLeft(key);
      if (isStale && actual !== undefined) deregister.push(actual);
    }
    const failed = new Map<string, Error>();
    const services = (entries: readonly WantedEntry[]) => entries.map(({ service }) => service);
    // Register first: where an instance moves to another key, there is one at every moment.
    await this.#attempt(register, failed, 'register', (batch) =>
      this.registry.register(
        batch.map(({ entry, service }) => this.#expulsions.returning(entry.key, service)),
        signal,
      ),
    );
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

  async #attempt<T extends ActualEntry>(
    batch: readonly T[],
    failed: Map<string, Error>,
    action: Action,
    send: (batch: readonly T[]) => Promise<void>,
  ): Promise<void> {
    if (batch.length === 0) return;
    const entries = batch.map(({ entry }) => entry);
    const failures = await failuresOf(entries, send(batch));
    for (const { entry, service } of batch) {
      this.#touched?.add(entry.key);
      const failure = failures.get(entry.key);
      if (failure === undefined) this.#done(action, entry, service);
      else if (!this.#isElsewhere(action, entry, service, failure)) failed.set(entry.key, failure);
    }
  }

  #done(action: Action, entry: Entry, service: Service | undefined): void {
    if (action === 'deregister') this.#forget(entry.key);
    else this.#actual.set(entry.key, service === undefined ? { entry } : { entry, service });
    if (action === 'register') this.#heed(entry.key);
    this.#conflicts.delete(entry.key);
    this.#errors.delete(entry.key);
    this.#log.done(action, entry, service);
    this.#observer?.done(this.registry.name, action, service);
  }

  /** @returns whether nothing is left to do, because what was to be removed is somebody else's by now */
  #isElsewhere(action: Action, entry: Entry, service: Service | undefined, failure: Error): boolean {
    const { key } = entry;
    if (failure instanceof ConflictError) {
      this.#actual.delete(key);
      if (action === 'deregister') {
        this.#log.leftAlone(entry, service, failure);
        return true;
      }
      this.#conflicts.set(key, failure.holder);
    }
    this.#errors.set(key, failure);
    // What gets no answer may be carried out later: what comes back then is our own doing.
    if (!(failure instanceof RefusedError)) this.#heed(key);
    this.#log.failed(action, entry, service, failure, this.#queue.failuresOf(key) > 0);
    this.#observer?.failed(this.registry.name, action, failure);
    return false;
  }

  #forget(key: string): void {
    this.#actual.delete(key);
    if (this.#removed.size < MEMORY) this.#removed.add(key);
  }

  /** Takes it for no surprise that the key is there. */
  #heed(key: string): void {
    this.#removed.delete(key);
    this.#disputes.forgetReturns(key);
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
    await this.registry.connect(signal).then(
      // What got no answer may have been done all the same, and would stay when it is not wanted any more.
      () => this.#trouble('a call failed, and may have been carried out all the same'),
      (error: unknown) => {
        this.#queue.pause();
        this.#up = false;
        this.#trouble(message(error));
      },
    );
    this.#probing = false;
  }
}

const message = (error: unknown) => asError(error).message;

/** What failed of the batch, by entry key: all of it where the work on it failed as a whole. */
async function failuresOf(batch: readonly Entry[], work: Promise<void>): Promise<ReadonlyMap<string, Error>> {
  try {
    await work;
    return new Map();
  } catch (error) {
    return error instanceof BatchError ? error.failures : new Map(batch.map(({ key }) => [key, asError(error)]));
  }
}
