import { asError } from './as-error.ts';
import { FairSet } from './fair-set.ts';

/** How long to wait before a key that failed is worked on again. */
export type RetryDelay = (failures: number, error: Error) => number;

export interface QueueOptions {
  /** Batches worked on at once. */
  readonly concurrency: number;
  /** Keys that one batch may have. */
  readonly batchSize: number;
  /** Milliseconds; see backoff.ts. */
  readonly retryDelay: RetryDelay;
  /** Whose a key is: those take turns. All are one's by default, and come as they were marked. */
  readonly groupOf?: (key: string) => string;
}

/** Works on a batch of keys; resolves with those that failed, and why. */
export type Work = (keys: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, Error>>;

/**
 * With fewer batches under way than this, a batch starts with whatever keys wait; with as many or more, only a full one
 * does. Many small batches would take a server several times as long as a few full ones. It is 2 and not 1, because a
 * single batch may hang until its call times out, and the other keys must not wait for that.
 */
const BATCHES_BEFORE_FULL_ONES = 2;

/**
 * A set of keys to be worked on, after client-go's workqueue: one key is in one batch at a time; marks during work
 * coalesce to one more round; a failure comes back later. Holds each key once, so it is bounded by the number of keys.
 */
export class KeyedQueue {
  readonly #options: QueueOptions;
  readonly #waiting: FairSet;
  readonly #working = new Set<string>();
  /** Keys marked while they were worked on. */
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #idle: (() => void)[] = [];
  #batches = 0;
  #paused = false;
  #soon = false;
  #work: Work | undefined;
  #signal: AbortSignal | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#waiting = new FairSet(options.groupOf ?? (() => ''));
  }

  /** Keys that wait or are worked on; those that back off after a failure not counted. */
  get depth(): number {
    return this.#waiting.size + this.#working.size;
  }

  /** Keys that failed the last time. */
  get failing(): number {
    return this.#failures.size;
  }

  /** Whether the key waits or is worked on. */
  isPending(key: string): boolean {
    return this.#waiting.has(key) || this.#working.has(key);
  }

  failuresOf(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Marks a key: it will be worked on once more, at once, whatever backoff it is in. */
  add(key: string): void {
    this.#cancelRetry(key);
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pumpSoon();
  }

  /** Works until the signal aborts; then takes no more keys, and drops the waiting ones. */
  start(work: Work, signal: AbortSignal): void {
    this.#work = work;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#drop(), { once: true });
    this.#pump();
  }

  /** Lets batches under way finish, and takes no other until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  /** Goes on, with every backoff forgotten: what made the keys fail is over. Nothing where it was not paused. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    for (const key of [...this.#timers.keys()]) {
      this.#cancelRetry(key);
      this.#waiting.add(key);
    }
    this.#pump();
  }

  /** Resolves when nothing waits and nothing is under way (keys in backoff aside). */
  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #isIdle(): boolean {
    return this.#batches === 0 && (this.#waiting.size === 0 || this.#signal?.aborted === true);
  }

  /** Keys marked in one go make one batch, and a key that is unmade and made again at once is worked on once. */
  #pumpSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => {
      this.#soon = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (
      this.#work !== undefined &&
      !this.#paused &&
      this.#waiting.size >= (this.#batches < BATCHES_BEFORE_FULL_ONES ? 1 : this.#options.batchSize) &&
      this.#batches < this.#options.concurrency &&
      !this.#signal?.aborted
    ) {
      void this.#runBatch(this.#work, this.#take());
    }
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): string[] {
    const keys = this.#waiting.take(this.#options.batchSize);
    for (const key of keys) this.#working.add(key);
    return keys;
  }

  async #runBatch(work: Work, keys: readonly string[]): Promise<void> {
    this.#batches += 1;
    const signal = this.#signal ?? AbortSignal.abort();
    const failed = await work(keys, signal).catch((error: unknown) => {
      const reason = asError(error);
      return new Map(keys.map((key) => [key, reason]));
    });
    this.#batches -= 1;
    for (const key of keys) this.#settle(key, failed.get(key));
    this.#pump();
  }

  #settle(key: string, error: Error | undefined): void {
    this.#working.delete(key);
    const marked = this.#again.delete(key);
    if (error === undefined) this.#failures.delete(key);
    else this.#failures.set(key, this.failuresOf(key) + 1);
    if (this.#signal?.aborted) return;
    if (marked) this.#waiting.add(key);
    else if (error !== undefined) this.#retryLater(key, error);
  }

  #retryLater(key: string, error: Error): void {
    const timer = setTimeout(() => this.add(key), this.#options.retryDelay(this.failuresOf(key), error));
    this.#timers.set(key, timer);
  }

  #cancelRetry(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }

  #drop(): void {
    for (const key of [...this.#timers.keys()]) this.#cancelRetry(key);
    this.#waiting.clear();
    this.#pump();
  }
}
