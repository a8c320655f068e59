import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Change, Store } from '../../src/catalogue/index.ts';
import { service } from '../support/service.ts';

const never = new AbortController().signal;

function store(): Store {
  return new Store({ name: 'node1', address: '10.0.0.9' });
}

function recorded(of: Store): Change[] {
  const changes: Change[] = [];
  of.listen((change) => changes.push(change), never);
  return changes;
}

test('the index grows with each change, and not with a registration that says the same', () => {
  const held = store();
  expect(held.index).toBe(1);
  held.put(service());
  expect(held.index).toBe(2);
  held.put(service());
  expect(held.index).toBe(2);
  held.put(service({ tags: ['a'] }));
  expect(held.index).toBe(3);
  held.remove('node1:redis:6379');
  expect(held.index).toBe(4);
  expect(held.remove('node1:redis:6379')).toBe(false);
  expect(held.index).toBe(4);
});

test('a service keeps the index at which it was created when it changes', () => {
  const held = store();
  held.put(service());
  held.put(service({ id: 'other' }));
  held.put(service({ port: 1 }));
  expect(held.get('node1:redis:6379')).toMatchObject({ createIndex: 2, modifyIndex: 4 });
});

test('a new container behind the same entry is known, and wakes nobody', () => {
  const held = store();
  held.put(service());
  const changes = recorded(held);
  held.put(service({ origin: { ...service().origin, containerId: 'new' } }));
  expect(held.get('node1:redis:6379')?.service.origin.containerId).toBe('new');
  expect(changes).toMatchObject([{ kind: 'confirmed', index: 2 }]);
  expect(held.index).toBe(2);
});

test('what was withdrawn is seen by nobody, and comes back when it is put again', () => {
  const held = store();
  held.put(service());
  const changes = recorded(held);
  held.withdraw('node1:redis:6379');
  held.withdraw('none');
  expect(changes).toMatchObject([{ kind: 'deregistered' }]);
  expect([held.size, held.withdrawn()]).toEqual([0, [service()]]);
  held.setHealth('node1:redis:6379', { status: 'passing', output: '' });
  expect(held.size).toBe(0);
  held.put(service());
  expect([held.size, held.withdrawn()]).toEqual([1, []]);
  held.withdraw('node1:redis:6379');
  held.remove('node1:redis:6379');
  expect(held.withdrawn()).toEqual([]);
});

test('names are found in any case, and instances come in the order of their IDs', () => {
  const held = store();
  held.put(service({ id: 'b', name: 'Web' }));
  held.put(service({ id: 'a', name: 'web' }));
  expect(held.named('WEB').map(({ service: { id } }) => id)).toEqual(['a', 'b']);
  expect(held.named('__proto__')).toEqual([]);
});

test('a service that changes its name leaves the old one', () => {
  const held = store();
  held.put(service({ name: 'old' }));
  held.put(service({ name: 'new' }));
  expect(held.named('old')).toEqual([]);
  expect(held.named('new')).toHaveLength(1);
  expect(held.names()).toEqual(['new']);
});

test('each service has an index of its own, which never goes back', () => {
  const held = store();
  held.put(service({ id: 'a', name: 'a' }));
  held.put(service({ id: 'b', name: 'b' }));
  expect(held.indexOf({ service: 'a' })).toBe(2);
  expect(held.indexOf({ service: 'B' })).toBe(3);
  held.remove('a');
  expect(held.indexOf({ service: 'a' })).toBe(4);
  expect(held.indexOf({ service: 'b' })).toBe(3);
  held.put(service({ id: 'a', name: 'a' }));
  expect(held.indexOf({ service: 'a' })).toBe(5);
});

test('waiting ends at a change of the topic, not at one of another service', async () => {
  const held = store();
  held.put(service({ id: 'a', name: 'a' }));
  let woken = false;
  const waiting = held.wait({ service: 'a' }, held.indexOf({ service: 'a' }), never).then(() => {
    woken = true;
  });
  held.put(service({ id: 'b', name: 'b' }));
  await new Promise(setImmediate);
  expect(woken).toBe(false);
  held.remove('a');
  await waiting;
  expect(woken).toBe(true);
});

test.each([
  ['the node', 'node' as const],
  ['a service', { service: 'a' }],
  ['everything', 'all' as const],
])('waiting for %s ends when the host has another address', async (_, topic) => {
  const held = store();
  held.put(service({ id: 'a', name: 'a' }));
  const before = held.indexOf(topic);
  const waiting = held.wait(topic, before, never);
  held.moveNode('10.0.0.2');
  await waiting;
  expect(held.node.address).toBe('10.0.0.2');
  expect(held.indexOf(topic)).toBe(3);
  expect(held.listenerCount).toBe(0);
});

test('waiting ends on abort, and at once where there is something new', async () => {
  const held = store();
  const stop = new AbortController();
  const waiting = held.wait('all', 1, stop.signal);
  stop.abort();
  await waiting;
  await held.wait('all', 0, never);
  await held.wait('all', 99, AbortSignal.abort());
});

test('a service without a check is passing; one with a check starts critical, or as it asks', () => {
  const held = store();
  held.put(service({ id: 'a' }));
  held.put(service({ id: 'b', check: { type: 'tcp', target: '10.0.0.1:1' } }));
  held.put(service({ id: 'c', check: { type: 'tcp', target: '10.0.0.1:1', initialStatus: 'warning' } }));
  held.put(service({ id: 'd', check: { type: 'script', args: ['true'] } }));
  expect(held.all().map(({ status }) => status)).toEqual(['passing', 'critical', 'warning', 'passing']);
});

test('a check keeps its state when the service is registered anew, unless the check itself is another', () => {
  const held = store();
  held.put(service({ check: { type: 'tcp', target: '10.0.0.1:1' } }));
  held.setCheck('node1:redis:6379', 'passing', 'ok');
  held.put(service({ check: { type: 'tcp', target: '10.0.0.1:1' }, tags: ['new'] }));
  expect(held.get('node1:redis:6379')?.status).toBe('passing');
  held.put(service({ check: { type: 'tcp', target: '10.0.0.1:2' }, tags: ['new'] }));
  expect(held.get('node1:redis:6379')?.status).toBe('critical');
});

test('another output of the same status is kept, but is no change', () => {
  const held = store();
  held.put(service({ check: { type: 'tcp', target: '10.0.0.1:1' } }));
  held.setCheck('node1:redis:6379', 'passing', 'one');
  const changes = recorded(held);
  held.setCheck('node1:redis:6379', 'passing', 'two');
  held.setCheck('node1:redis:6379', 'passing', 'two');
  expect(changes).toMatchObject([{ kind: 'output', index: 3 }]);
  expect([held.index, held.get('node1:redis:6379')?.checks[0]?.output]).toEqual([3, 'two']);
  held.setCheck('node1:redis:6379', 'critical', 'three');
  expect(changes.map(({ kind }) => kind)).toEqual(['output', 'health']);
});

test("Docker's health is the state of a docker check", () => {
  const held = store();
  const check = { type: 'docker', ttl: '60s' } as const;
  held.put(service({ check, health: { status: 'warning', output: 'starting' } }));
  expect(held.get('node1:redis:6379')).toMatchObject({
    status: 'warning',
    checks: [{ id: 'service:node1:redis:6379', type: 'ttl', output: 'starting' }],
  });
  held.setHealth('node1:redis:6379', { status: 'passing', output: 'healthy' });
  expect(held.get('node1:redis:6379')?.status).toBe('passing');
});

test('a paused container without a docker check is in maintenance mode until it goes on', () => {
  const held = store();
  held.put(service());
  held.setHealth('node1:redis:6379', { status: 'critical', output: 'container is paused' });
  expect(held.get('node1:redis:6379')).toMatchObject({
    status: 'critical',
    checks: [{ id: '_service_maintenance:node1:redis:6379', notes: 'container is paused' }],
  });
  held.setHealth('node1:redis:6379', undefined);
  expect(held.get('node1:redis:6379')).toMatchObject({ status: 'passing', checks: [] });
});

test('any sequence of changes leaves the store with what was put last, and each index grows', () => {
  const action = fc.record({
    id: fc.constantFrom('a', 'b', '__proto__', 'constructor'),
    name: fc.constantFrom('x', 'X', 'y', '__proto__'),
    remove: fc.boolean(),
    port: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const held = store();
      const model = new Map<string, string>();
      let last = held.index;
      for (const { id, name, remove, port } of actions) {
        if (remove) {
          held.remove(id);
          model.delete(id);
        } else {
          held.put(service({ id, name, port }));
          model.set(id, name);
        }
        expect(held.index).toBeGreaterThanOrEqual(last);
        expect(held.indexOf({ service: name })).toBeLessThanOrEqual(held.index);
        last = held.index;
      }
      expect(held.all().map(({ service: { id, name } }) => [id, name])).toEqual([...model].sort());
      for (const name of ['x', 'y', '__proto__']) {
        const expected = [...model].filter(([, own]) => own.toLowerCase() === name).map(([id]) => id);
        expect(held.named(name).map(({ service: { id } }) => id)).toEqual(expected.sort());
      }
    }),
  );
});
