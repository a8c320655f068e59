import { type RecentChange, RecentChanges } from './recent.ts';
import type { Row } from './row.ts';

/** How it stands with a registry, or with Docker. */
export interface RegistryState {
  readonly name: string;
  readonly state: 'in step' | 'catching up' | 'away';
  /** Services that it should hold; absent for Docker. */
  readonly wanted?: number;
  readonly differences: readonly RegistryDifference[];
}

/** What a registry does not hold as it should. */
interface RegistryDifference {
  readonly kind: 'missing' | 'other' | 'extra' | 'health' | 'conflict';
  /** The service's ID and its name. */
  readonly id: string;
  readonly service: string;
  /** Addresses with ports. */
  readonly wanted?: string;
  readonly there?: string;
  /** Why, and what happens next, as a sentence. */
  readonly why: string;
}

/** A container that runs, and what of it is not registered. */
export interface Unregistered {
  readonly container: string;
  readonly containerId: string;
  readonly image: string;
  readonly ports: readonly { readonly port: string; readonly reason: string }[];
}

/** What registrator knows of the host beside the services. */
export interface Surroundings {
  readonly registries: readonly RegistryState[];
  readonly unregistered: readonly Unregistered[];
}

export interface About {
  /** This host. */
  readonly node: string;
  /** Whether the page is the embedded catalogue's, with Consul's API beside it. */
  readonly catalogue: boolean;
  /** The DNS server that knows the services; absent where there is none here. */
  readonly dns?: { readonly domain: string; readonly port: number };
}

/** Since when it stands like this, in milliseconds since the epoch. */
type Since = { readonly since: number };

const NOWHERE: Surroundings = { registries: [], unregistered: [] };

/** What the page shows, and who watches it. Knows nothing of where it comes from. */
export class Board {
  readonly #about: () => About;
  readonly #rows = new Map<string, Row & { readonly healthSince: number }>();
  readonly #recent = new RecentChanges();
  #surroundings = NOWHERE;
  #registries: readonly (RegistryState & Since)[] = [];
  readonly #listeners = new Set<(key: string | undefined) => void>();

  constructor(about: () => About) {
    this.#about = about;
  }

  get about(): About {
    return this.#about();
  }
  get rows(): Iterable<Row & { readonly healthSince: number }> {
    return this.#rows.values();
  }
  /** The latest changes, the last one first. */
  get recent(): readonly RecentChange[] {
    return this.#recent.all;
  }
  get registries(): readonly (RegistryState & Since)[] {
    return this.#registries;
  }
  get unregistered(): readonly Unregistered[] {
    return this.#surroundings.unregistered;
  }
  /** How many watch. */
  get watchers(): number {
    return this.#listeners.size;
  }

  row(key: string): (Row & { readonly healthSince: number }) | undefined {
    return this.#rows.get(key);
  }

  /** @param news false for what was there before anybody could see it happen */
  put(row: Row, news = true): void {
    const before = this.#rows.get(row.key);
    const now = Date.now();
    const healthSince = before?.health === row.health ? before.healthSince : now;
    const after = { ...row, healthSince };
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    this.#rows.set(row.key, after);
    if (news) this.#recent.note(before, row, now);
    this.#tell(row.key);
  }

  remove(key: string): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    this.#recent.note(row, undefined, Date.now());
    this.#tell(key);
  }

  setSurroundings(surroundings: Surroundings): void {
    if (JSON.stringify(surroundings) === JSON.stringify(this.#surroundings)) return;
    const now = Date.now();
    this.#registries = surroundings.registries.map((registry) => {
      const before = this.#registries.find(({ name }) => name === registry.name);
      return { ...registry, since: before?.state === registry.state ? before.since : now };
    });
    this.#surroundings = surroundings;
    this.#tell();
  }

  /** Calls the listener at each change, with the row's key where it is one of a row, until the signal aborts. */
  listen(listener: (key: string | undefined) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  #tell(key?: string): void {
    for (const listener of [...this.#listeners]) listener(key);
  }
}
