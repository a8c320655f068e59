import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { forEachConcurrent } from '../../src/lib/for-each-concurrent.ts';

describe('inLanes', () => {
  it('works on every item, and on no more at once than there are lanes', async () => {
    const done: number[] = [];
    let now = 0;
    let most = 0;
    await forEachConcurrent([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++now);
      await sleep(1);
      now -= 1;
      done.push(item);
    });
    expect(done.sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  it('takes the next item as soon as one is done, whatever the others do', async () => {
    const slow = Promise.withResolvers<void>();
    const done: string[] = [];
    const all = forEachConcurrent(['slow', 'a', 'b', 'c'], 2, async (item) => {
      if (item === 'slow') await slow.promise;
      done.push(item);
      if (item === 'c') slow.resolve();
    });
    await all;
    expect(done).toEqual(['a', 'b', 'c', 'slow']);
  });

  it('takes no further item once one has failed, in any lane', async () => {
    const begun: number[] = [];
    const rest = Promise.withResolvers<void>();
    const work = forEachConcurrent([1, 2, 3, 4, 5, 6], 2, async (item) => {
      begun.push(item);
      if (item === 2) throw new Error('no 2');
      await rest.promise;
    });
    await expect(work).rejects.toThrow('no 2');
    rest.resolve();
    await sleep(1);
    expect(begun).toEqual([1, 2]);
  });

  it('has nothing to do for no items', async () => {
    await forEachConcurrent([], 4, () => Promise.reject(new Error('there are none')));
  });
});
