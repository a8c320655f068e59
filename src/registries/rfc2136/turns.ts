import { unlessAborted } from '../../lib/unless-aborted.ts';

interface Lane {
  last: Promise<unknown>;
  waiting: number;
}

/**
 * So much work at once, the rest in turn. Where some fails, those that wait behind it fail with it: without an answer each
 * would take as long to find out the same.
 */
export class Turns {
  readonly #lanes: readonly Lane[];

  constructor(atOnce: number) {
    this.#lanes = Array.from({ length: atOnce }, () => ({ last: Promise.resolve(), waiting: 0 }));
  }

  /** Rejects as the work does, or the work before it; with the signal's reason on abort, and begins nothing then. */
  async take(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const lane = this.#lanes.reduce((a, b) => (b.waiting < a.waiting ? b : a));
    const turn = lane.last.then(() => (signal.aborted ? undefined : work()));
    const settled = turn.catch((error: unknown) => {
      if (lane.last === settled) lane.last = Promise.resolve();
      if (!signal.aborted) throw error;
    });
    settled.catch(() => undefined);
    lane.last = settled;
    lane.waiting += 1;
    try {
      await unlessAborted(turn, signal);
    } finally {
      lane.waiting -= 1;
    }
  }
}
