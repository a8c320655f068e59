import * as v from 'valibot';
import { expect, test } from 'vitest';
import { checked, WrongShapeError } from '../../src/lib/checked.ts';

const SCHEMA = v.array(v.object({ name: v.string(), port: v.optional(v.number()) }));

test('what is right comes back as it is, with the fields that the schema does not know', () => {
  const value = [{ name: 'web', port: 80, more: true }];
  expect(checked(SCHEMA, value, 'It makes no sense')).toBe(value);
});

test('what is wrong is told by its place, and shows nothing of itself', () => {
  const value = [{ name: 'web' }, { name: { secret: 'hunter2' } }];
  expect(() => checked(SCHEMA, value, 'It makes no sense')).toThrow(
    new WrongShapeError('It makes no sense: 1.name should be string'),
  );
  expect(() => checked(SCHEMA, 'hunter2', 'It makes no sense')).toThrow('It makes no sense: it should be Array');
});
