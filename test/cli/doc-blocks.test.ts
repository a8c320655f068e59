import { expect, it } from 'vitest';
import { docCommands } from '../support/doc-blocks.ts';

it('finds the commands of sh blocks only, with what they must print', () => {
  const page =
    '# A\n```sh\none \\\n  two  # => three # four\n# a comment\n\nfive &\n```\n```console\n$ six\n```\n```sh\nseven\n```\n';
  expect(docCommands(page)).toEqual([
    { line: 4, command: 'one    two', expected: 'three # four' },
    { line: 7, command: 'five &' },
    { line: 13, command: 'seven' },
  ]);
});
