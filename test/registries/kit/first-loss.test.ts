import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { unlessAborted } from '../../../src/lib/unless-aborted.ts';
import { firstLoss } from '../../../src/registries/kit/first-loss.ts';

/** What tells of a loss by `lose`, and knows how many listen. */
class Part {
  listening = 0;
  readonly #loss = Promise.withResolvers<string>();

  lost(signal: AbortSignal): Promise<string> {
    this.listening += 1;
    return unlessAborted(this.#loss.promise, signal).finally(() => {
      this.listening -= 1;
    });
  }

  lose(reason: string): void {
    this.#loss.resolve(reason);
  }
}

it('tells of the first loss, and listens to nobody then', async () => {
  const [one, other] = [new Part(), new Part()];
  const loss = firstLoss([one, other], new AbortController().signal);
  other.lose('the session expired');
  expect(await loss).toBe('the session expired');
  await setImmediate();
  expect([one.listening, other.listening]).toEqual([0, 0]);
});

it('rejects on abort, and listens to nobody then', async () => {
  const [one, other] = [new Part(), new Part()];
  const ending = new AbortController();
  const loss = firstLoss([one, other], ending.signal);
  const reason = new Error('stopping');
  ending.abort(reason);
  await expect(loss).rejects.toBe(reason);
  await setImmediate();
  expect([one.listening, other.listening]).toEqual([0, 0]);
});
