import { expect, it } from 'vitest';
import { batches } from '../../src/lib/batches.ts';

it('hands out every item once and in order, with what is left in the last batch', () => {
  expect([...batches([1, 2, 3, 4, 5], 2)]).toEqual([[1, 2], [3, 4], [5]]);
  expect([...batches([1, 2, 3, 4], 2)]).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

it('makes no empty batch', () => {
  expect([...batches([], 2)]).toEqual([]);
});
