/** Answers for as long as they may be kept: bounded in number and bytes, the least lately used ones go first. */
export class Cache<T extends { readonly size: number }> {
  readonly #entries = new Map<string, { readonly value: T; readonly expires: number }>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** @param now milliseconds of a clock that never goes back */
  get(key: string, now: number): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#remove(key);
    if (entry.expires <= now) return undefined;
    this.#add(key, entry);
    return entry.value;
  }

  /** @param forMs how long it may be kept, in milliseconds; not at all at 0 */
  set(key: string, value: T, forMs: number, now: number): void {
    this.#remove(key);
    if (forMs <= 0 || value.size > this.#maxBytes) return;
    this.#add(key, { value, expires: now + forMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  #add(key: string, entry: { readonly value: T; readonly expires: number }): void {
    this.#entries.set(key, entry);
    this.#bytes += entry.value.size;
  }

  #remove(key: string): void {
    this.#bytes -= this.#entries.get(key)?.value.size ?? 0;
    this.#entries.delete(key);
  }
}
