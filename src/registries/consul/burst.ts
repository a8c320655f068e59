/** Milliseconds for which a reading tells which IDs are free. */
const FRESH_MS = 1_000;
/** Writes under way from which on it is a burst: one container that starts is none. */
const MANY = 8;
/** Writes since the last reading from which on another pays: it costs as much as a look at each 16th of the services. */
const LEAST_WRITES = 64;
const SERVICES_A_LOOK = 16;

/**
 * Many writes at once, as at the start or when the agent lost its data. A look at the agent before each would cost as much
 * again as the writing: one reading of what others hold, a second old at most, stands for the looks of a whole second.
 */
export class Burst {
  /** IDs that others held at the last reading, and those written since: whoever wrote there after that is to be seen. */
  #taken = new Set<string>();
  #readAt = Number.NEGATIVE_INFINITY;
  #services = 0;
  #writes = 0;
  #under = 0;
  #reading: Promise<void> | undefined;
  readonly #read: (signal: AbortSignal) => Promise<readonly string[]>;

  /** @param read reads the IDs that others hold */
  constructor(read: (signal: AbortSignal) => Promise<readonly string[]>) {
    this.#read = read;
  }

  /**
   * @param others the IDs that others hold, as they were read
   * @param at when that reading was asked for, by `performance.now()`
   * @param services how many there were in all, where the reading tells
   */
  saw(others: readonly string[], at: number, services = this.#services): void {
    this.#taken = new Set(others);
    this.#readAt = at;
    this.#services = services;
    this.#writes = 0;
  }

  /** Whether the ID may be written without a look at it. Never rejects: where the reading fails, a look tells why. */
  async isFree(id: string, signal: AbortSignal): Promise<boolean> {
    this.#writes += 1;
    this.#services += 1;
    if (this.#under < MANY) return false;
    if (!this.#isFresh() && this.#writes >= Math.max(LEAST_WRITES, this.#services / SERVICES_A_LOOK)) {
      this.#reading ??= this.#readAgain(signal);
      await this.#reading;
    }
    if (!this.#isFresh() || this.#taken.has(id)) return false;
    this.#taken.add(id);
    return true;
  }

  /** Counts a write that is under way. */
  async during<T>(write: () => Promise<T>): Promise<T> {
    this.#under += 1;
    try {
      return await write();
    } finally {
      this.#under -= 1;
    }
  }

  #isFresh(): boolean {
    return performance.now() - this.#readAt < FRESH_MS;
  }

  async #readAgain(signal: AbortSignal): Promise<void> {
    const at = performance.now();
    const others = await this.#read(signal).catch(() => undefined);
    if (others !== undefined) this.saw(others, at);
    else this.#writes = 0;
    this.#reading = undefined;
  }
}
