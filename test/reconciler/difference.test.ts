import { expect, test } from 'vitest';
import { difference, lostClaim } from '../../src/reconciler/difference.ts';
import { type Entry, RefusedError } from '../../src/registries/index.ts';
import { service } from '../support/service.ts';

const entry = (over: Partial<Entry> = {}): Entry => ({
  key: 'k',
  content: 'c',
  id: 'node1:redis:6379',
  name: 'redis',
  address: '10.0.0.1',
  port: 80,
  ...over,
});
const wanted = { service: service(), entry: entry() };
const CALM = { up: true, error: undefined, waits: false, expelled: false };

test('an entry is missing, another one, not wanted, or of another health', () => {
  const about = { id: 'node1:redis:6379', service: 'redis', why: 'It is being written.' };
  const { containerId } = wanted.service.origin;
  const want = { containerId, wanted: '10.0.0.1:80' };
  expect(difference(wanted, undefined, CALM)).toEqual({ ...about, ...want, kind: 'missing' });
  expect(difference(wanted, entry({ content: 'x', port: 81 }), CALM)).toEqual({
    ...about,
    ...want,
    kind: 'other',
    there: '10.0.0.1:81',
  });
  expect(difference(wanted, entry({ health: 'critical' }), CALM)).toMatchObject({ kind: 'health' });
  expect(difference(undefined, entry({ address: '::1' }), CALM)).toEqual({
    ...about,
    kind: 'extra',
    there: '[::1]:80',
  });
});

test('why: the registry is away, somebody changes it back, or what the registry said', () => {
  const why = (obstacle: Partial<Parameters<typeof difference>[2]>) =>
    difference(wanted, undefined, { ...CALM, ...obstacle }).why;
  expect(why({ up: false })).toBe('The registry does not answer; it is written as soon as it does.');
  expect(why({ waits: true })).toMatch(/^Somebody else changes it back each time/);
  expect(why({ expelled: true })).toMatch(/^The registry removed it/);
  expect(why({ error: new RefusedError('Invalid service name.') })).toBe(
    'Invalid service name; it is tried again later.',
  );
  expect(why({ error: new Error('ECONNRESET') })).toBe('ECONNRESET; it is tried again.');
});

test('of two containers that claim one entry, the one that lost it is in conflict, and told whose it is', () => {
  const other = service({ container: 'other' });
  expect(lostClaim({ service: other, entry: entry({ port: 1 }) }, wanted)).toEqual({
    kind: 'conflict',
    id: 'node1:redis:6379',
    service: 'redis',
    containerId: other.origin.containerId,
    wanted: '10.0.0.1:1',
    there: '10.0.0.1:80',
    why: 'Container redis has the same entry, whose own ID it is: give each a SERVICE_ID of its own.',
  });
  const labelled = { service: service({ id: 'shared' }), entry: entry() };
  expect(lostClaim({ service: other, entry: entry() }, labelled).why).toBe(
    'Container redis has the same entry, and started last: give each a SERVICE_ID of its own.',
  );
});
