/**
 * A set of keys in groups. They come out one of each group in turn, the oldest first, so that a group with many keys
 * delays the others by no more than one.
 */
export class FairSet {
  readonly #groupOf: (key: string) => string;
  /** The group whose turn is next comes first. */
  readonly #groups = new Map<string, Group>();
  /** Goes through the groups, those that come to the end while it does included. */
  #turns: Iterator<[string, Group]> | undefined;
  /** The group of each key, as it was when the key was added. */
  readonly #keys = new Map<string, string>();

  constructor(groupOf: (key: string) => string) {
    this.#groupOf = groupOf;
  }

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    if (this.#keys.has(key)) return;
    const name = this.#groupOf(key);
    const group = this.#groups.get(name);
    if (group !== undefined) group.keys.add(key);
    else this.#groups.set(name, groupOf(key));
    this.#keys.set(key, name);
  }

  /** Takes up to so many keys out. */
  take(count: number): string[] {
    const taken: string[] = [];
    while (taken.length < count && this.#groups.size > 0) {
      this.#turns ??= this.#groups.entries();
      const turn = this.#turns.next();
      if (turn.done) {
        this.#turns = undefined;
        continue;
      }
      const [name, group] = turn.value;
      const key: string = group.oldest.next().value ?? '';
      group.keys.delete(key);
      this.#keys.delete(key);
      this.#groups.delete(name);
      // To the end, where the turns come to it again.
      if (group.keys.size > 0) this.#groups.set(name, group);
      taken.push(key);
    }
    return taken;
  }

  clear(): void {
    this.#groups.clear();
    this.#turns = undefined;
    this.#keys.clear();
  }
}

interface Group {
  readonly keys: Set<string>;
  /** Goes through the keys, those added later included. To begin anew each time would pass by all that were taken out. */
  readonly oldest: Iterator<string, undefined>;
}

function groupOf(key: string): Group {
  const keys = new Set([key]);
  return { keys, oldest: keys.values() };
}
