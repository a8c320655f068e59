import { unlessAborted } from './unless-aborted.ts';

/**
 * How a registry says that what it wrote may be lost: `tell` wakes everybody who waits at that moment in `next`. A loss
 * that nobody waits for is not kept, since the reconciler reads the registry anyway before it waits.
 */
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
