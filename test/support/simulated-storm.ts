import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatedDocker } from './simulated-docker.ts';

export interface StormOptions {
  /** Starts and stops a second, together. */
  readonly perSecond: number;
  readonly seconds: number;
}

/** Milliseconds between two bursts. */
const TICK = 10;

/**
 * Stops each of these containers in turn, and on the next round starts it, and so on. All run at the end.
 * Resolves with how many starts and stops there were, and how long they took in milliseconds.
 */
export async function storm(
  docker: SimulatedDocker,
  containers: readonly string[],
  { perSecond, seconds }: StormOptions,
): Promise<{ readonly actions: number; readonly ms: number }> {
  const started = performance.now();
  const running = new Set(containers);
  const wanted = perSecond * seconds;
  let actions = 0;
  const act = (id: string) => {
    if (running.delete(id)) docker.stop(id);
    else {
      running.add(id);
      docker.start(id);
    }
    actions += 1;
  };
  while (actions < wanted) {
    const due = Math.min(wanted, ((performance.now() - started) / 1_000) * perSecond);
    while (actions < due) act(containers[actions % containers.length] ?? '');
    await delay(TICK);
  }
  for (const id of containers) if (!running.has(id)) act(id);
  return { actions, ms: performance.now() - started };
}
