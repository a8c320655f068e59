import { shortId } from '../../lib/short-id.ts';
import type { HealthStatus, Protocol, Service } from '../../services/index.ts';

/** One instance, as the page shows it. Whatever stands in it is text from labels and names: never markup. */
export interface Row {
  readonly key: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly tags: readonly string[];
  /** `none`: nothing checks it; `elsewhere`: its registry does. */
  readonly health: HealthStatus | 'none' | 'elsewhere';
  /** What the check that makes it so said; empty where it is well. */
  readonly output: string;
  readonly container: string;
  /** Docker's short ID. */
  readonly containerId: string;
  readonly image: string;
  /** Milliseconds since the epoch at which the container started; 0 where Docker does not say. */
  readonly since: number;
  /** It is what the snapshot file says; Docker has not confirmed it yet. */
  readonly fromSnapshot: boolean;
}

export interface RecentChange {
  /** `found` and `gone`: in Docker; whether the registries follow, their own state says. */
  readonly kind: 'registered' | 'deregistered' | 'found' | 'gone' | 'updated' | HealthStatus;
  readonly container: string;
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds since its container started, where that was what made the change. */
  readonly after?: number;
}

/** How it stands with a registry, or with Docker. */
export interface RegistryState {
  readonly name: string;
  readonly state: 'in sync' | 'catching up' | 'away';
}

export interface About {
  /** This host. */
  readonly node: string;
  /** Where names of services end in DNS: `redis.service.<domain>`. Absent: there is no DNS here. */
  readonly domain?: string;
}

const RECENT = 20;
/** A container that runs for longer, in milliseconds, was found, not just started. */
const JUST_STARTED = 60_000;

/** What the page shows, and who watches it. Knows nothing of where it comes from. */
export class Board {
  #about: About;
  readonly #rows = new Map<string, Row>();
  #recent: readonly RecentChange[] = [];
  #registries: readonly RegistryState[] = [];
  readonly #listeners = new Set<(key: string | undefined) => void>();

  constructor(about: About) {
    this.#about = about;
  }

  get about(): About {
    return this.#about;
  }
  get rows(): Iterable<Row> {
    return this.#rows.values();
  }
  /** The latest changes, the last one first. */
  get recent(): readonly RecentChange[] {
    return this.#recent;
  }
  get registries(): readonly RegistryState[] {
    return this.#registries;
  }
  /** How many watch. */
  get watchers(): number {
    return this.#listeners.size;
  }

  row(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  setAbout(about: About): void {
    this.#about = about;
    this.#tell();
  }

  put(row: Row, change?: RecentChange['kind']): void {
    this.#rows.set(row.key, row);
    this.#note(row, change);
    this.#tell(row.key);
  }

  remove(key: string, change?: RecentChange['kind']): void {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    this.#note(row, change);
    this.#tell(key);
  }

  setRegistries(registries: readonly RegistryState[]): void {
    if (JSON.stringify(registries) === JSON.stringify(this.#registries)) return;
    this.#registries = registries;
    this.#tell();
  }

  /** Calls the listener at each change, with the row's key where it is one of a row, until the signal aborts. */
  listen(listener: (key: string | undefined) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  #note({ container, service, since }: Row, kind: RecentChange['kind'] | undefined): void {
    if (kind === undefined) return;
    const at = Date.now();
    const after = at - since;
    const started = (kind === 'registered' || kind === 'found') && since > 0 && after >= 0 && after < JUST_STARTED;
    const change = { kind, container, service, at, ...(started ? { after } : {}) };
    this.#recent = [change, ...this.#recent].slice(0, RECENT);
  }

  #tell(key?: string): void {
    for (const listener of [...this.#listeners]) listener(key);
  }
}

/** The part of a row that a service itself says. */
export function rowOf(service: Service): Omit<Row, 'key' | 'health' | 'output' | 'fromSnapshot'> {
  const { name, address, port, protocol, tags, origin } = service;
  return {
    service: name,
    address,
    port,
    protocol,
    tags,
    container: origin.containerName,
    containerId: shortId(origin.containerId),
    image: origin.image,
    since: origin.startedAt,
  };
}
