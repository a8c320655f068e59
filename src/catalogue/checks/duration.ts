import { parseDuration } from '../../services/index.ts';

/** A Go duration in milliseconds, at least 1; `fallback` where it is absent or none. */
export function milliseconds(text: string | undefined, fallback: number): number {
  const nanoseconds = text === undefined ? undefined : parseDuration(text);
  if (nanoseconds === undefined || nanoseconds <= 0n) return fallback;
  // What timers take, about 24 days.
  return Math.min(Math.max(Number(nanoseconds / 1_000_000n), 1), 2 ** 31 - 1);
}
