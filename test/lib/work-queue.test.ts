import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { KeyedQueue, type Work } from '../../src/lib/work-queue.ts';

const stop = new Set<AbortController>();
afterEach(() => {
  for (const controller of stop) controller.abort();
  stop.clear();
});

function queue(work: Work, options: { concurrency?: number; batchSize?: number; retryMs?: number } = {}) {
  const { concurrency = 4, batchSize = 1, retryMs = 5 } = options;
  const made = new KeyedQueue({ concurrency, batchSize, retryDelay: () => retryMs });
  const controller = new AbortController();
  stop.add(controller);
  return { queue: made, controller, start: () => made.start(work, controller.signal) };
}

const done = new Map<string, Error>();

describe('KeyedQueue', () => {
  it('works on a key once for many marks before the work', async () => {
    const seen: string[] = [];
    const { queue: q, start } = queue(async (keys) => {
      seen.push(...keys);
      return done;
    });
    for (let n = 0; n < 5; n += 1) q.add('a');
    q.add('b');
    start();
    await q.idle();
    expect(seen).toEqual(['a', 'b']);
  });

  it('works on one key by one worker at a time, and once more for marks during the work', async () => {
    let under = 0;
    let most = 0;
    let rounds = 0;
    const gate = Promise.withResolvers<void>();
    const { queue: q, start } = queue(async () => {
      under += 1;
      most = Math.max(most, under);
      rounds += 1;
      if (rounds === 1) await gate.promise;
      under -= 1;
      return done;
    });
    start();
    q.add('a');
    await expect.poll(() => under).toBe(1);
    q.add('a');
    q.add('a');
    gate.resolve();
    await q.idle();
    expect({ most, rounds }).toEqual({ most: 1, rounds: 2 });
  });

  it('lets other keys go on while one hangs', async () => {
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const { queue: q, start } = queue(async ([key = '']) => {
      if (key === 'slow') await gate.promise;
      seen.push(key);
      return done;
    });
    start();
    for (const key of ['slow', 'a', 'b', 'c', 'd', 'e']) q.add(key);
    await expect.poll(() => seen).toEqual(['a', 'b', 'c', 'd', 'e']);
    gate.resolve();
    await q.idle();
  });

  it('gives a worker that is busy full batches only, and one that is free whatever there is', async () => {
    const gates: PromiseWithResolvers<void>[] = [];
    const batches: (readonly string[])[] = [];
    const { queue: q, start } = queue(
      async (keys) => {
        batches.push(keys);
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        await gate.promise;
        return done;
      },
      { batchSize: 3 },
    );
    start();
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      q.add(key);
      await nextTurn();
    }
    expect(batches).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
    q.add('f');
    await nextTurn();
    expect(batches).toHaveLength(3);
    gates[0]?.resolve();
    gates[1]?.resolve();
    await expect.poll(() => batches.at(-1)).toEqual(['f']);
    for (const gate of gates) gate.resolve();
    await q.idle();
  });

  it('never runs more batches at once than it may, nor larger ones', async () => {
    let under = 0;
    let most = 0;
    const sizes: number[] = [];
    const { queue: q, start } = queue(
      async (keys) => {
        under += 1;
        most = Math.max(most, under);
        sizes.push(keys.length);
        await sleep(1);
        under -= 1;
        return done;
      },
      { concurrency: 3, batchSize: 10 },
    );
    for (let n = 0; n < 95; n += 1) q.add(`k${n}`);
    start();
    await q.idle();
    expect({ most, largest: Math.max(...sizes), all: sizes.reduce((a, b) => a + b) }).toEqual({
      most: 3,
      largest: 10,
      all: 95,
    });
  });

  it('comes back to a key that failed until it does not, and counts the failures', async () => {
    const counts: number[] = [];
    const { queue: q, start } = queue(async ([key = '']) => {
      counts.push(q.failuresOf(key));
      return counts.length < 3 ? new Map([[key, new Error('no')]]) : done;
    });
    start();
    q.add('a');
    await expect.poll(() => counts).toEqual([0, 1, 2]);
    await q.idle();
    expect([q.failing, q.failuresOf('a')]).toEqual([0, 0]);
  });

  it('takes a batch that throws as a failure of each of its keys', async () => {
    let rounds = 0;
    const { queue: q, start } = queue(
      async () => {
        rounds += 1;
        if (rounds === 1) throw new Error('all of it');
        return done;
      },
      { batchSize: 2, retryMs: 60_000 },
    );
    q.add('a');
    q.add('b');
    start();
    await q.idle();
    expect(q.failing).toBe(2);
  });

  it('starts nothing while paused, and works on what backs off at once when resumed', async () => {
    const seen: string[] = [];
    let fail = true;
    const { queue: q, start } = queue(
      async ([key = '']) => {
        seen.push(key);
        return fail ? new Map([[key, new Error('away')]]) : done;
      },
      { retryMs: 60_000 },
    );
    start();
    q.add('a');
    await q.idle();
    q.pause();
    q.add('b');
    fail = false;
    expect(seen).toEqual(['a']);
    q.resume();
    await q.idle();
    expect(seen.slice(1).sort()).toEqual(['a', 'b']);
    expect(q.failing).toBe(0);
  });

  it('drops what waits when the signal aborts, and leaves no timer', async () => {
    const seen: string[] = [];
    const {
      queue: q,
      controller,
      start,
    } = queue(
      async ([key = '']) => {
        seen.push(key);
        return new Map([[key, new Error('no')]]);
      },
      { retryMs: 10 },
    );
    start();
    q.add('a');
    await q.idle();
    controller.abort();
    q.add('b');
    await q.idle();
    await sleep(30);
    expect(seen).toEqual(['a']);
  });
});
