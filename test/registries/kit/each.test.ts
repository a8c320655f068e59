import { describe, expect, it } from 'vitest';
import { BatchError, RefusedError } from '../../../src/registries/index.ts';
import { each, inBatches } from '../../../src/registries/kit/each.ts';
import { failuresOf } from '../entries.ts';

const same = (text: string) => text;

describe('each', () => {
  it('works on all of it though some fail, and says which by key', async () => {
    const done: string[] = [];
    const refusal = new RefusedError('not b');
    const work = each(
      ['a', 'b', 'c', 'd'],
      (item) => `key of ${item}`,
      2,
      async (item) => {
        if (item === 'b') throw refusal;
        if (item === 'c') throw 'a word';
        done.push(item);
      },
    );
    const failures = await failuresOf(work);
    expect([...failures.keys()]).toEqual(['key of b', 'key of c']);
    expect(failures.get('key of b')).toBe(refusal);
    expect(failures.get('key of c')).toEqual(new Error('a word'));
    expect(done).toEqual(['a', 'd']);
  });

  it('says what failed in a batch of one, not that it did', async () => {
    const refusal = new RefusedError('not a');
    const others = new BatchError(new Map([['c', refusal]]));
    const work = each(['a', 'b'], same, 2, async (item) => {
      throw item === 'a' ? new BatchError(new Map([['a', refusal]])) : others;
    });
    const failures = await failuresOf(work);
    expect(failures.get('a')).toBe(refusal);
    expect(failures.get('b')).toBe(others);
  });

  it('resolves where nothing failed, or there was nothing', async () => {
    await each(['a'], same, 2, async () => 'a');
    await each([], same, 2, () => Promise.reject(new Error('there are none')));
  });
});

describe('inBatches', () => {
  it('goes on behind what failed of a batch, and says all of it in the end', async () => {
    const batches: string[][] = [];
    const work = inBatches(['a', 'b', 'c', 'd', 'e'], 2, async (batch) => {
      batches.push([...batch]);
      if (batch.includes('a')) throw new BatchError(new Map([['a', new Error('not a')]]));
      if (batch.includes('d')) throw new BatchError(new Map([['d', new Error('not d')]]));
    });
    const failures = await failuresOf(work);
    expect([...failures].map(([key, { message }]) => `${key}: ${message}`)).toEqual(['a: not a', 'd: not d']);
    expect(batches).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  it('ends at a batch that failed as a whole', async () => {
    const batches: string[][] = [];
    const away = new Error('the registry is away');
    const work = inBatches(['a', 'b', 'c'], 1, async (batch) => {
      batches.push([...batch]);
      if (batch.includes('b')) throw away;
    });
    await expect(work).rejects.toBe(away);
    expect(batches).toEqual([['a'], ['b']]);
  });
});
