interface Group {
  running: number;
  /** What starts the next task, the longest waiting first. */
  readonly waiting: Set<() => void>;
}

/**
 * Lets a number of tasks run at once; the others wait their turn. It is the turn of the group with the fewest tasks under
 * way, and of the one that waits longest among equals: however many tasks one has, it takes no turn of another's.
 */
export class Slots {
  #free: number;
  readonly #most: number;
  /** Those with tasks; the longest waiting first. */
  readonly #groups = new Map<string, Group>();

  /** @param most at once of one group */
  constructor(count: number, most: number) {
    this.#free = count;
    this.#most = most;
  }

  /** Runs the task when it is its turn; not at all where the signal aborted before. */
  async run(group: string, signal: AbortSignal, task: () => Promise<void>): Promise<void> {
    if (!(await this.#acquire(group, signal))) return;
    try {
      await task();
    } finally {
      this.#release(group);
    }
  }

  async #acquire(name: string, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    const group = this.#groups.get(name) ?? { running: 0, waiting: new Set() };
    this.#groups.set(name, group);
    if (this.#free > 0 && group.running < this.#most) {
      this.#free -= 1;
      group.running += 1;
      return true;
    }
    return new Promise((resolve) => {
      const take = () => {
        signal.removeEventListener('abort', leave);
        resolve(true);
      };
      const leave = () => {
        group.waiting.delete(take);
        this.#forget(name, group);
        resolve(false);
      };
      group.waiting.add(take);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #release(name: string): void {
    this.#free += 1;
    const group = this.#groups.get(name);
    if (group !== undefined) {
      group.running -= 1;
      this.#forget(name, group);
    }
    this.#startNext();
  }

  #startNext(): void {
    let next: [string, Group] | undefined;
    for (const [name, group] of this.#groups) {
      if (group.waiting.size === 0 || group.running >= this.#most) continue;
      if (next === undefined || group.running < next[1].running) next = [name, group];
      if (group.running === 0) break;
    }
    if (next === undefined) return;
    const [name, group] = next;
    const [take] = group.waiting;
    if (take === undefined) return;
    group.waiting.delete(take);
    group.running += 1;
    this.#free -= 1;
    // Behind the others, which wait longer from now on.
    this.#groups.delete(name);
    this.#groups.set(name, group);
    take();
  }

  #forget(name: string, { running, waiting }: Group): void {
    if (running === 0 && waiting.size === 0) this.#groups.delete(name);
  }
}
