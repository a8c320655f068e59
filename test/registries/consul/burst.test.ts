import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Burst } from '../../../src/registries/consul/burst.ts';

const { signal } = new AbortController();
const EIGHT = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
/** So many IDs that another reading pays. */
const MANY = Array.from({ length: 200 }, (_, n) => `many-${n}`);

let held: string[] | Error;
let readings: number;
let burst: Burst;

/** Writes that are under way together: of each, whether it needed no look. */
const writes = (...ids: string[]) =>
  Promise.all(
    ids.map((id) =>
      burst.during(async () => {
        await Promise.resolve();
        return burst.isFree(id, signal);
      }),
    ),
  );
/** As if the last reading had been asked for so many milliseconds ago. */
const sawAgo = (milliseconds: number, ids: readonly string[], services?: number) =>
  burst.saw(ids, performance.now() - milliseconds, services);

beforeEach(() => {
  readings = 0;
  held = [];
  burst = new Burst(async () => {
    readings += 1;
    if (held instanceof Error) throw held;
    return held;
  });
});

describe('many writes at once, just after a reading', () => {
  it('need no look, except at what others hold', async () => {
    sawAgo(0, ['c']);
    expect(await writes(...EIGHT)).toEqual([true, true, false, true, true, true, true, true]);
    expect(readings).toBe(0);
  });

  it('need one for an ID that was written since: what has it then may be somebody else', async () => {
    sawAgo(0, []);
    await writes(...EIGHT);
    expect(await writes(...EIGHT)).toEqual(EIGHT.map(() => false));
  });

  it('are a burst from eight on: where one container starts, it is looked for', async () => {
    sawAgo(0, []);
    expect(await writes('a', 'b', 'c', 'd', 'e', 'f', 'g')).toEqual(Array(7).fill(false));
  });
});

describe('many writes at once, a second after the last reading', () => {
  it('are looked at where they are few: another reading would cost more', async () => {
    sawAgo(1_100, []);
    expect(await writes(...EIGHT)).toEqual(EIGHT.map(() => false));
    expect(readings).toBe(0);
  });

  it('share one reading of what others hold by then', async () => {
    sawAgo(1_100, []);
    held = ['many-150'];
    const free = await writes(...MANY);
    expect(readings).toBe(1);
    expect(free.slice(0, 63)).toEqual(Array(63).fill(false));
    expect(free.slice(63)).toEqual(MANY.slice(63).map((id) => id !== 'many-150'));
  });

  it('are looked at for longer where the agent has many services, which a reading goes through', async () => {
    sawAgo(1_100, [], 10_000);
    expect(await writes(...MANY)).toEqual(MANY.map(() => false));
    expect(readings).toBe(0);
  });

  it('are each looked at where the reading fails', async () => {
    sawAgo(1_100, []);
    held = new Error('connection refused');
    expect(await writes(...MANY)).toEqual(MANY.map(() => false));
    expect(readings).toBeGreaterThan(0);
  });

  it('are each looked at where the reading took longer than what it says is good for', async () => {
    const clock = vi.spyOn(performance, 'now');
    try {
      sawAgo(1_100, []);
      const then = performance.now();
      burst = new Burst(async () => {
        clock.mockReturnValue(then + 5_000);
        return [];
      });
      expect(await writes(...MANY)).toEqual(MANY.map(() => false));
    } finally {
      clock.mockRestore();
    }
  });
});
