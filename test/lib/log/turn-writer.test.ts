import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { TurnWriter } from '../../../src/lib/log/turn-writer.ts';

describe('what is written in one turn of the event loop', () => {
  it('goes on in one piece and in order, and what comes later in the next', async () => {
    const pieces: string[] = [];
    const writer = new TurnWriter({ write: (text) => pieces.push(text) });
    writer.write('a\n');
    await Promise.resolve();
    writer.write('b\n');
    expect(pieces).toEqual([]);
    await nextTurn();
    writer.write('c\n');
    await nextTurn();
    expect(pieces).toEqual(['a\nb\n', 'c\n']);
  });
});
