import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FirstBurst } from '../../../src/registries/consul/first-burst.ts';

/** A write of this burst: whether it needed no look. */
const write = (burst: FirstBurst, id: string) =>
  burst.during(async () => {
    await sleep(1);
    return burst.isFree(id);
  });
const writes = (burst: FirstBurst, ...ids: string[]) => Promise.all(ids.map((id) => write(burst, id)));
const EIGHT = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

describe('the writes that follow the first reading', () => {
  it('need no look where many are under way and the reading found nothing, each ID once', async () => {
    const burst = new FirstBurst();
    burst.begin(['taken']);
    let ended = () => {};
    const underWay = EIGHT.map(() =>
      burst.during(() => new Promise<void>((resolve) => (ended = chain(ended, resolve)))),
    );
    expect(burst.isFree('taken')).toBe(false);
    expect(burst.isFree('a')).toBe(true);
    expect(burst.isFree('a')).toBe(false);
    ended();
    await Promise.all(underWay);
  });

  it('need one where a container starts just then: a few writes are no burst', async () => {
    const burst = new FirstBurst();
    burst.begin([]);
    expect(await writes(burst, 'a', 'b')).toEqual([false, false]);
  });

  it('are over when none is under way any more: what comes later is looked at', async () => {
    const burst = new FirstBurst();
    burst.begin([]);
    expect((await writes(burst, ...EIGHT)).filter(Boolean)).not.toEqual([]);
    expect(burst.isFree('late')).toBe(false);
    expect(await writes(burst, ...EIGHT.map((id) => `later-${id}`))).toEqual(EIGHT.map(() => false));
  });

  it('follow the first reading alone', async () => {
    const burst = new FirstBurst();
    burst.begin([]);
    await writes(burst, ...EIGHT);
    burst.begin([]);
    expect(await writes(burst, ...EIGHT.map((id) => `later-${id}`))).toEqual(EIGHT.map(() => false));
  });
});

function chain(first: () => void, then: () => void): () => void {
  return () => {
    first();
    then();
  };
}
