import { expect, test } from 'vitest';
import { RecentChanges } from '../../src/catalogue/page/recent.ts';
import { type Row, rowOf } from '../../src/catalogue/page/row.ts';
import { service } from '../support/service.ts';

const NOW = 1_000_000;

function row(over: Partial<Row> = {}): Row {
  return { ...rowOf(service(), { health: 'none', checks: [] }), key: 'a', since: 0, ...over };
}

test('a container that starts is one line with all its services, and how soon they were there', () => {
  const recent = new RecentChanges();
  recent.note(undefined, row({ service: 'web-80', port: 1, since: NOW - 41 }), NOW);
  recent.note(undefined, row({ service: 'web-443', port: 2, since: NOW - 41 }), NOW + 5);
  expect(recent.all).toEqual([
    {
      kind: 'up',
      container: 'redis',
      services: [
        { name: 'web-80', address: '10.0.0.1:1' },
        { name: 'web-443', address: '10.0.0.1:2' },
      ],
      fields: [],
      at: NOW + 5,
      after: 41,
    },
  ]);
});

test.each([
  ['long ago', NOW - 3_600_000],
  ['nobody knows when', 0],
  ['by a clock that is ahead', NOW + 5_000],
])('one that started %s did not make the change by that', (_, since) => {
  const recent = new RecentChanges();
  recent.note(undefined, row({ since }), NOW);
  expect(recent.all[0]).not.toHaveProperty('after');
});

test('a container that is gone and back at once was recreated: what was, and what is', () => {
  const recent = new RecentChanges();
  const before = row({ containerId: 'old', image: 'redis:7.2' });
  recent.note(before, undefined, NOW);
  recent.note(undefined, row({ containerId: 'new', image: 'redis:7.4', port: 9 }), NOW + 2_000);
  expect(recent.all).toMatchObject([
    {
      kind: 'recreated',
      container: 'redis',
      services: [{ name: 'redis', address: '10.0.0.1:9' }],
      fields: [
        { field: 'image', was: 'redis:7.2', is: 'redis:7.4' },
        { field: 'address', was: '10.0.0.1:32768', is: '10.0.0.1:9' },
      ],
    },
  ]);
});

test('one that took the entry over in one step was recreated as well', () => {
  const recent = new RecentChanges();
  recent.note(row({ containerId: 'old' }), row({ containerId: 'new' }), NOW);
  expect(recent.all).toMatchObject([{ kind: 'recreated', fields: [] }]);
});

test('one that is back much later is gone, and then up', () => {
  const recent = new RecentChanges();
  recent.note(row(), undefined, NOW);
  recent.note(undefined, row(), NOW + 60_000);
  expect(recent.all.map(({ kind }) => kind)).toEqual(['up', 'gone']);
});

test('a change says which field was what, and health what it was', () => {
  const recent = new RecentChanges();
  recent.note(row({ tags: ['blue'] }), row({ tags: ['blue', 'eu'] }), NOW);
  recent.note(row({ health: 'passing' }), row({ health: 'critical' }), NOW + 1);
  expect(recent.all).toMatchObject([
    { kind: 'critical', fields: [{ field: 'health', was: 'passing', is: 'critical' }] },
    { kind: 'updated', fields: [{ field: 'tags', was: 'blue', is: 'blue, eu' }] },
  ]);
});

test('what Docker confirms of the snapshot, and a new output of a check, are no change', () => {
  const recent = new RecentChanges();
  recent.note(undefined, row({ fromSnapshot: true }), NOW);
  recent.note(row({ fromSnapshot: true }), row(), NOW);
  const check = { what: 'tcp x', status: 'passing', output: '' } as const;
  recent.note(row({ checks: [check] }), row({ checks: [{ ...check, output: 'x' }] }), NOW);
  expect(recent.all).toEqual([]);
});

test('a container with a thousand services is one line, which names 32 of them', () => {
  const recent = new RecentChanges();
  for (let port = 1; port <= 1_000; port += 1) recent.note(undefined, row({ service: `web-${port}`, port }), NOW);
  expect(recent.all).toHaveLength(1);
  expect(recent.all[0]?.services).toHaveLength(32);
});
