import { describe, expect, it } from 'vitest';
import { Turns } from '../../../src/registries/rfc2136/turns.ts';

const { signal } = new AbortController();

/** Work that ends when it is told to, and what of it has begun. */
function works() {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve, reject) => {
      ends.set(name, (error) => (error === undefined ? resolve() : reject(error)));
    });
  };
  return { begun, work, end: (name: string, error?: Error) => ends.get(name)?.(error) };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('work in two lanes', () => {
  it('goes two at once, and the rest as one of them ends', async () => {
    const turns = new Turns(2);
    const { begun, work, end } = works();
    const all = ['a', 'b', 'c'].map((name) => turns.take(signal, work(name)));
    await settled();
    expect(begun).toEqual(['a', 'b']);
    end('a');
    await all[0];
    await settled();
    expect(begun).toEqual(['a', 'b', 'c']);
    end('b');
    end('c');
    await Promise.all(all);
  });

  it('that fails takes with it what waits behind it, and nothing else', async () => {
    const turns = new Turns(2);
    const { begun, work, end } = works();
    const [a, b, behindA] = ['a', 'b', 'c'].map((name) => turns.take(signal, work(name)));
    await settled();
    end('a', new Error('no answer in time'));
    await expect(a).rejects.toThrow('no answer in time');
    await expect(behindA).rejects.toThrow('no answer in time');
    const later = turns.take(signal, work('later'));
    await settled();
    expect(begun).toEqual(['a', 'b', 'later']);
    end('b');
    end('later');
    await Promise.all([b, later]);
  });

  it('rejects with the reason on abort, and begins nothing any more', async () => {
    const turns = new Turns(1);
    const stop = new AbortController();
    const { begun, work, end } = works();
    const all = ['a', 'b'].map((name) => turns.take(stop.signal, work(name)));
    await settled();
    stop.abort(new Error('stopping'));
    for (const one of all) await expect(one).rejects.toThrow('stopping');
    end('a');
    await settled();
    expect(begun).toEqual(['a']);
  });
});
