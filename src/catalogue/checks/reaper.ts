import type { Logger } from '../../lib/log/index.ts';
import type { Instance, Store } from '../store.ts';
import { milliseconds } from './duration.ts';
import { checkId } from './state.ts';

/** Milliseconds; Consul takes a service out no earlier either. */
const EARLIEST = 60_000;

/** Takes out services whose check was critical for as long as they asked (`SERVICE_CHECK_DEREGISTER_AFTER`). */
export class Reaper {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #earliest: number;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #stopped = new AbortController();

  constructor(store: Store, log: Logger, earliest = EARLIEST) {
    this.#store = store;
    this.#log = log;
    this.#earliest = earliest;
  }

  start(): void {
    this.#store.listen(({ kind, instance }) => {
      if (kind === 'deregistered') this.#forget(instance.service.id);
      else this.#follow(instance);
    }, this.#stopped.signal);
    for (const instance of this.#store.all()) this.#follow(instance);
  }

  /** Ends every timer. */
  close(): void {
    this.#stopped.abort();
    for (const id of [...this.#timers.keys()]) this.#forget(id);
  }

  #follow({ service, checks }: Instance): void {
    const { id, check } = service;
    const critical = checks.some((state) => state.id === checkId(id) && state.status === 'critical');
    if (!critical || check?.deregisterAfter === undefined) {
      this.#forget(id);
      return;
    }
    if (this.#timers.has(id)) return;
    const after = Math.max(milliseconds(check.deregisterAfter, EARLIEST), this.#earliest);
    this.#timers.set(
      id,
      setTimeout(() => this.#takeOut(id), after),
    );
  }

  #takeOut(id: string): void {
    const instance = this.#store.get(id);
    if (instance === undefined) return;
    const { name, check, origin } = instance.service;
    this.#store.withdraw(id);
    this.#log.warn(
      { service: name, id, container: origin.containerName, after: check?.deregisterAfter },
      'the service was critical for as long as SERVICE_CHECK_DEREGISTER_AFTER says, and is taken out until its container is restarted',
    );
  }

  #forget(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }
}
