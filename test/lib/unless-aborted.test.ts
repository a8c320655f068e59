import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { unlessAborted } from '../../src/lib/unless-aborted.ts';

const never = new Promise<never>(() => undefined);

it('gives what the work gives, or throws', async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
  await expect(unlessAborted(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('rejects with the reason of the signal that aborts, and leaves no listener at the other', async () => {
  const [long, short] = [new AbortController(), new AbortController()];
  const waiting = unlessAborted(never, long.signal, short.signal);
  short.abort(new Error('told to'));
  await expect(waiting).rejects.toThrow('told to');
  expect(getEventListeners(long.signal, 'abort')).toEqual([]);
  await expect(unlessAborted(never, long.signal, short.signal)).rejects.toThrow('told to');
  expect(getEventListeners(long.signal, 'abort')).toEqual([]);
});
