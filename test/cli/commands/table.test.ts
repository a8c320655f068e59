import { describe, expect, it } from 'vitest';
import { table } from '../../../src/cli/commands/table.ts';

describe('a table', () => {
  it('has its columns one under the other, and no trailing spaces', () => {
    expect(
      table(
        ['A', 'LONG'],
        [
          ['12345', 'x'],
          ['1', ''],
        ],
      ),
    ).toBe('A      LONG\n12345  x\n1\n');
  });

  it('lets no cell move the cursor or begin a line', () => {
    expect(table(['A'], [['x\u001b[2J\ny']])).toBe('A\nx\\u{1b}[2J\\u{a}y\n');
  });
});
