import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Milliseconds until it gives up; 10 000. */
  readonly deadlineMs?: number;
  /** Milliseconds between two tries; 50. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Tries `probe` until it returns (anything but `false`, `null` or `undefined`) and resolves with what it returned.
 * Rejects at the deadline with the last error that it threw, so that a failed `expect` inside it is what a test shows.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { deadlineMs = 10_000, everyMs = 50, signal }: EventuallyOptions = {},
): Promise<Exclude<Awaited<T>, false | null | undefined>> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await probe();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<Awaited<T>, false | null | undefined>;
      }
      last = new Error(`not so within ${deadlineMs} ms (the probe returned ${String(value)})`);
    } catch (error) {
      last = error;
    }
    signal?.throwIfAborted();
    if (Date.now() >= deadline) throw last;
    await delay(everyMs, undefined, { signal });
  }
}

/** Resolves when `probe` returns without an error; its value does not matter, so `expect` calls fit. */
export async function eventuallyPasses(probe: () => unknown, options: EventuallyOptions = {}): Promise<void> {
  await eventually(async () => {
    await probe();
    return true;
  }, options);
}

/** Rejects when `probe` throws at any moment of `forMs`: for what must stay as it is. */
export async function holds(probe: () => unknown, forMs: number, everyMs = 50): Promise<void> {
  const end = Date.now() + forMs;
  do {
    await probe();
    await delay(everyMs);
  } while (Date.now() < end);
}
