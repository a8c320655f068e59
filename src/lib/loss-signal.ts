import { unlessAborted } from './unless-aborted.ts';

/** Tells whoever waits that something was lost; who waits no longer is forgotten. */
export class LossSignal {
  readonly #waiters = new Set<(reason: string) => void>();

  /** Resolves with the reason of the next loss. Rejects on abort. */
  next(signal: AbortSignal): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiters.add(resolve);
    return unlessAborted(promise, signal).finally(() => this.#waiters.delete(resolve));
  }

  tell(reason: string): void {
    for (const resolve of this.#waiters) resolve(reason);
  }
}
