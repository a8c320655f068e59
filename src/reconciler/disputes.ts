/** After so many mends an entry is in dispute. */
const MENDS_UNTIL_DISPUTE = 3;
/** What was removed, and comes back so often, is left alone: another registrator bears this host's name. */
const RETURNS_UNTIL_LEFT = 2;
const HOUR = 3_600_000;

interface Dispute {
  readonly mends: number;
  readonly notBefore: number;
}

/**
 * Entries that somebody else changes back each time they are put right: another registrator on this host with other
 * settings, as in an upgrade. Each further mend waits twice as long, up to an hour: no flapping, and still right in the
 * end. Times are milliseconds of a clock that does not jump.
 */
export class Disputes {
  readonly #byKey = new Map<string, Dispute>();
  readonly #returns = new Map<string, { readonly times: number; readonly at: number }>();
  readonly #unitMs: number;

  /** @param unitMs the wait after the first mends: a resync's period */
  constructor(unitMs: number) {
    this.#unitMs = unitMs;
  }

  /** Somebody changed what was right. @returns whether the entry is in dispute since just now */
  foundChanged(key: string, now: number): boolean {
    const before = this.#byKey.get(key);
    const calm = before === undefined || now - before.notBefore > HOUR;
    const mends = calm ? 1 : before.mends + 1;
    const wait =
      mends < MENDS_UNTIL_DISPUTE ? 0 : Math.min(HOUR, this.#unitMs * 2 ** (mends - MENDS_UNTIL_DISPUTE + 1));
    this.#byKey.set(key, { mends, notBefore: now + wait });
    return mends === MENDS_UNTIL_DISPUTE;
  }

  /** What we removed is there again. @returns whether it is left alone since just now */
  foundBack(key: string, now: number): boolean {
    const before = this.#returns.get(key);
    const times = before === undefined || now - before.at > HOUR ? 1 : before.times + 1;
    this.#returns.set(key, { times, at: now });
    return times === RETURNS_UNTIL_LEFT;
  }

  /** The key is ours to write again, or what came back may have been our own doing. */
  forgetReturns(key: string): void {
    this.#returns.delete(key);
  }

  /** Whether what came back is left alone. */
  isLeft(key: string): boolean {
    return (this.#returns.get(key)?.times ?? 0) >= RETURNS_UNTIL_LEFT;
  }

  mayMend(key: string, now: number): boolean {
    return !this.isLeft(key) && now >= (this.#byKey.get(key)?.notBefore ?? 0);
  }

  /** Forgets what changed: the registry lost its data, which is nobody's doing. */
  clear(): void {
    this.#byKey.clear();
  }
}
