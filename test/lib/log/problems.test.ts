import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Logger, problemsOf } from '../../../src/lib/log/index.ts';

let lines: { msg: string; container?: string; lines?: number }[];
let log: Logger;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
});
afterEach(() => vi.useRealTimers());

const warn = (container: string, message: string, cause = message) =>
  problemsOf(log).tell({ about: container, cause, level: 'warn', fields: { container }, message });

test('a problem is told once a container, whoever tells it', () => {
  warn('a', 'no address');
  warn('b', 'no address');
  const child = log.child({ registry: 'x' });
  problemsOf(child).tell({ about: 'a', cause: 'no address', level: 'warn', fields: {}, message: 'no address' }, child);
  expect(lines.map(({ container, msg }) => [container, msg])).toEqual([
    ['a', 'no address'],
    ['b', 'no address'],
  ]);
});

test('a container gets ten lines and a count of the others, and no other is left out for it', () => {
  for (let index = 0; index < 60_000; index += 1) warn('many', `label ${index}`);
  warn('other', 'no address');
  vi.advanceTimersByTime(1_000);
  expect(lines).toHaveLength(12);
  expect(lines.at(-2)).toMatchObject({ container: 'other', msg: 'no address' });
  expect(lines.at(-1)).toMatchObject({ container: 'many', msg: 'and 59990 more about this container' });
});

test('of a container that is gone nothing is remembered once what was left out is counted', () => {
  for (let index = 0; index < 20; index += 1) warn('a', `label ${index}`);
  problemsOf(log).forget('a');
  vi.advanceTimersByTime(1_000);
  expect(lines.map(({ msg }) => msg)).toEqual([
    ...Array.from({ length: 10 }, (_, index) => `label ${index}`),
    'and 10 more about this container',
  ]);
  warn('a', 'label 0');
  expect(lines.at(-1)).toMatchObject({ container: 'a', msg: 'label 0' });
  expect(lines).toHaveLength(12);
});

test('the process gets 300 lines a minute, and the number of the others', () => {
  for (let index = 0; index < 1_000; index += 1) warn(`c${index}`, 'no address');
  vi.advanceTimersByTime(1_000);
  expect(lines).toHaveLength(301);
  expect(lines.at(-1)).toMatchObject({ lines: 700, msg: 'and 700 more lines about containers, which were left out' });
  vi.advanceTimersByTime(60_000);
  warn('later', 'no address');
  expect(lines.at(-1)).toMatchObject({ container: 'later' });
});

test('what was done to a container with a thousand ports takes ten lines, and again a minute later', () => {
  const note = () =>
    problemsOf(log).note({ about: 'a', level: 'info', fields: { container: 'a' }, message: 'registered' }, log);
  for (let index = 0; index < 1_000; index += 1) note();
  vi.advanceTimersByTime(1_000);
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toMatchObject({ container: 'a', msg: 'and 990 more about this container' });
  vi.advanceTimersByTime(60_000);
  note();
  expect(lines.at(-1)).toMatchObject({ msg: 'registered' });
});
