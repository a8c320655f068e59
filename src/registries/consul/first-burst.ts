/** Milliseconds after the first reading in which the writing that follows it has to be over. */
const ENDS_MS = 1_000;
/** Writes under way from which on it is that writing: one container that starts just then is no burst. */
const MANY = 8;

/**
 * The writes that follow the first reading at once. With a thousand containers at the start, a look at the agent before
 * each would cost as much again as the writing: what the reading did not find is free for as long as they go on.
 */
export class FirstBurst {
  #taken: Set<string> | undefined;
  #endsBy = 0;
  #under = 0;

  /** Only the first call counts. @param taken the IDs that the reading found */
  begin(taken: readonly string[]): void {
    if (this.#taken !== undefined) return;
    this.#taken = new Set(taken);
    this.#endsBy = performance.now() + ENDS_MS;
  }

  /** Whether the ID may be written without a look; each of them once. */
  isFree(id: string): boolean {
    if (this.#under < MANY || performance.now() > this.#endsBy) return false;
    if (this.#taken === undefined || this.#taken.has(id)) return false;
    this.#taken.add(id);
    return true;
  }

  /** Counts a write: when none is under way any more, the burst is over. */
  async during<T>(write: () => Promise<T>): Promise<T> {
    this.#under += 1;
    try {
      return await write();
    } finally {
      this.#under -= 1;
      if (this.#under === 0) this.#endsBy = 0;
    }
  }
}
