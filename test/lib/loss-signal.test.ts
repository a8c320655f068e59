import { expect, it } from 'vitest';
import { LossSignal } from '../../src/lib/loss-signal.ts';

const { signal } = new AbortController();

it('tells all who wait of a loss, and nobody of one before', async () => {
  const losses = new LossSignal();
  losses.tell('before anybody waited');
  const waiting = [losses.next(signal), losses.next(signal)];
  losses.tell('the session expired');
  expect(await Promise.all(waiting)).toEqual(['the session expired', 'the session expired']);
  const next = losses.next(signal);
  losses.tell('the next one, too');
  expect(await next).toBe('the next one, too');
});

it('rejects on abort, and where the signal has aborted already', async () => {
  const losses = new LossSignal();
  const ending = new AbortController();
  const waiting = losses.next(ending.signal);
  const reason = new Error('stopping');
  ending.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(losses.next(ending.signal)).rejects.toBe(reason);
});
