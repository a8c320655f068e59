import { setTimeout as sleep } from 'node:timers/promises';
import type { Board, Surroundings } from './board.ts';

/** Milliseconds between two looks. */
const LOOK = 500;

/** Keeps the board true to what stands around the services, until the signal aborts. */
export async function followSurroundings(board: Board, look: () => Surroundings, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    board.setSurroundings(look());
    await sleep(LOOK, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
