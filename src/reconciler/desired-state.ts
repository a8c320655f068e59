import type { Service } from '../services/index.ts';

/** Told of each change: the services that a container had and now has; both empty when `keep` ended for some entries. */
export type DesiredStateListener = (change: {
  readonly before: readonly Service[];
  readonly after: readonly Service[];
}) => void;

const NONE: readonly Service[] = [];

/** Which services the running containers mean, by container: derived once, read by one reconciler a registry. */
export class DesiredState {
  readonly #byContainer = new Map<string, readonly Service[]>();
  readonly #listeners = new Set<DesiredStateListener>();
  readonly #kept = new Set<string>();
  readonly #completed = Promise.withResolvers<void>();
  #complete = false;

  /** True once every container has been looked at: only then is an entry without a service here a stale one. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Resolves when `complete` becomes true. */
  get completed(): Promise<void> {
    return this.#completed.promise;
  }

  setComplete(): void {
    this.#complete = true;
    this.#completed.resolve();
  }

  get containerIds(): Iterable<string> {
    return this.#byContainer.keys();
  }

  *services(): Iterable<Service> {
    for (const services of this.#byContainer.values()) yield* services;
  }

  of(containerId: string): readonly Service[] {
    return this.#byContainer.get(containerId) ?? NONE;
  }

  has(containerId: string): boolean {
    return this.#byContainer.has(containerId);
  }

  set(containerId: string, services: readonly Service[]): void {
    const before = this.of(containerId);
    this.#byContainer.set(containerId, services);
    this.#tell(before, services);
  }

  delete(containerId: string): void {
    const before = this.of(containerId);
    this.#byContainer.delete(containerId);
    this.#tell(before, NONE);
  }

  /**
   * Says that entries with an ID of this prefix are to stay though no service here means them: their container failed
   * (`-deregister on-success`), or Docker does not show it.
   */
  keep(idPrefix: string, kept: boolean): void {
    if (kept) this.#kept.add(idPrefix);
    else if (this.#kept.delete(idPrefix))
      for (const listener of this.#listeners) listener({ before: NONE, after: NONE });
  }

  isKept(id: string): boolean {
    for (const prefix of this.#kept) if (id.startsWith(prefix)) return true;
    return false;
  }

  /** @returns a function that ends it */
  listen(listener: DesiredStateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(before: readonly Service[], after: readonly Service[]): void {
    if (before.length === 0 && after.length === 0) return;
    for (const listener of this.#listeners) listener({ before, after });
  }
}
