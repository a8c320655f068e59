import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FirstBurst } from '../../../src/registries/consul/first-burst.ts';

/** A write of this burst: whether it needed no look. */
const write = (burst: FirstBurst, id: string) =>
  burst.during(async () => {
    await sleep(1);
    return burst.isFree(id);
  });

describe('the writes that follow the first reading', () => {
  it('need no look where the reading found nothing, each ID once', () => {
    const burst = new FirstBurst();
    expect(burst.isFree('a')).toBe(false);
    burst.begin(['taken']);
    expect(burst.isFree('taken')).toBe(false);
    expect(burst.isFree('a')).toBe(true);
    expect(burst.isFree('a')).toBe(false);
  });

  it('are over when none is under way any more: what comes later is looked at', async () => {
    const burst = new FirstBurst();
    burst.begin([]);
    const writes = ['a', 'b', 'c'].map((id) => write(burst, id));
    expect(await Promise.all(writes)).toEqual([true, true, true]);
    expect(burst.isFree('late')).toBe(false);
    const two = ['x', 'y'].map((id) => write(burst, id));
    expect(await Promise.all(two)).toEqual([false, false]);
  });

  it('follow the first reading alone', async () => {
    const burst = new FirstBurst();
    burst.begin([]);
    await write(burst, 'b');
    burst.begin([]);
    expect(burst.isFree('a')).toBe(false);
  });
});
