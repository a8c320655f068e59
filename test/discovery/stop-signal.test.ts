import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signalNumber } from '../../src/discovery/stop-signal.ts';

describe('the number of a signal', () => {
  it.each([
    ['15', 15],
    ['SIGTERM', 15],
    ['TERM', 15],
    ['sigquit', 3],
    ['SIGUSR1', 10],
    ['SIGRTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
  ])('%s is %i', (text, number) => expect(signalNumber(text)).toBe(number));

  it.each(['', 'SIG', 'NOTHING', '-1', '999', 'constructor', 'SIGRTMIN+', '1.5'])('%s is none', (text) =>
    expect(signalNumber(text)).toBeUndefined(),
  );

  it('takes any text', () => {
    fc.assert(fc.property(fc.string(), (text) => ['number', 'undefined'].includes(typeof signalNumber(text))));
  });
});
