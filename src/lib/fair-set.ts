/**
 * A set of keys in groups. They come out one of each group in turn, the oldest first, so that a group with many keys
 * delays the others by no more than one.
 */
export class FairSet {
  readonly #groupOf: (key: string) => string;
  /** The group whose turn is next comes first. */
  readonly #groups = new Map<string, Set<string>>();
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
    const group = this.#groups.get(name) ?? new Set();
    this.#groups.set(name, group.add(key));
    this.#keys.set(key, name);
  }

  /** Takes up to so many keys out. */
  take(count: number): string[] {
    const taken: string[] = [];
    // A group whose turn it was goes to the end, where this loop comes to it again.
    for (const [name, group] of this.#groups) {
      if (taken.length === count) break;
      const [key = ''] = group;
      group.delete(key);
      this.#keys.delete(key);
      this.#groups.delete(name);
      if (group.size > 0) this.#groups.set(name, group);
      taken.push(key);
    }
    return taken;
  }

  clear(): void {
    this.#groups.clear();
    this.#keys.clear();
  }
}
