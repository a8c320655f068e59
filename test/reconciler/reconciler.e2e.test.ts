import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/lib/log/index.ts';

import { DesiredState, Reconciler } from '../../src/reconciler/index.ts';
import { createRegistry } from '../../src/registries/index.ts';
import type { Service } from '../../src/services/index.ts';
import { ConsulServer } from '../support/consul.ts';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { service } from '../support/service.ts';

const log = await createLogger('silent', 'json');
let consul: ConsulServer;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  consul = await new ConsulServer().start();
});
afterAll(() => consul.dispose());
beforeEach(async () => {
  for (const id of Object.keys(await held())) await consul.api('PUT', `/v1/agent/service/deregister/${id}`);
  return async () => {
    for (const stop of stops.splice(0)) await stop();
  };
});

const held = () => consul.api<Record<string, { Port: number; ModifyIndex?: number }>>('GET', '/v1/agent/services');
const ids = async () => Object.keys(await held()).sort();

async function reconcile(desired: DesiredState, { resyncMs = 0, host = 'node1' } = {}) {
  const registry = await createRegistry(`consul://${consul.address}`, {
    owner: { host, engine: `engine-of-${host}` },
    env: {},
    log,
  });
  const options = { resyncMs, heartbeatMs: 0, retryAttempts: Number.POSITIVE_INFINITY, retryIntervalMs: 50 };
  const reconciler = new Reconciler(registry, desired, options, log);
  const controller = new AbortController();
  const run = reconciler.run(controller.signal);
  const stop = async () => {
    controller.abort();
    await run;
    await registry.close();
  };
  stops.push(stop);
  return { reconciler, stop };
}

function desiredOf(...services: Service[]): DesiredState {
  const desired = new DesiredState();
  for (const one of services) desired.set(one.origin.containerId, [one]);
  desired.setComplete();
  return desired;
}

describe('the reconciler', () => {
  it('registers what is desired, changes what changes, and removes what is desired no longer', async () => {
    const desired = desiredOf(service());
    await reconcile(desired);
    await eventuallyPasses(async () => expect(await ids()).toEqual(['node1:redis:6379']));
    desired.set(service().origin.containerId, [service({ port: 40000 })]);
    await eventuallyPasses(async () => expect((await held())['node1:redis:6379']?.Port).toBe(40000));
    desired.delete(service().origin.containerId);
    await eventuallyPasses(async () => expect(await ids()).toEqual([]));
  });

  it('removes stale entries of its host, and no others, once every container was looked at', async () => {
    for (const ID of ['node1:gone:80', 'node2:redis:6379', 'operators-own']) {
      await consul.api('PUT', '/v1/agent/service/register', { ID, Name: 'x' });
    }
    const desired = new DesiredState();
    await reconcile(desired, { resyncMs: 20 });
    desired.set(service().origin.containerId, [service()]);
    await eventuallyPasses(async () => expect(await ids()).toContain('node1:redis:6379'));
    expect(await ids()).toContain('node1:gone:80');
    desired.setComplete();
    await eventuallyPasses(async () =>
      expect(await ids()).toEqual(['node1:redis:6379', 'node2:redis:6379', 'operators-own']),
    );
  });

  it('writes nothing on a restart and a resync when everything is right', async () => {
    const desired = desiredOf(service({ check: { type: 'ttl', ttl: '300s' } }), service({ container: 'web' }));
    const first = await reconcile(desired);
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(2));
    await first.stop();
    await consul.api('PUT', '/v1/agent/check/pass/service:node1:redis:6379');
    await reconcile(desired, { resyncMs: 20 });
    await holds(async () => {
      const checks = await consul.api<Record<string, { Status: string }>>('GET', '/v1/agent/checks');
      // A registration would have set it back to critical.
      expect(checks['service:node1:redis:6379']?.Status).toBe('passing');
    }, 500);
  });

  it('puts back what somebody removed, and mends what somebody changed, within one resync', async () => {
    await reconcile(desiredOf(service(), service({ container: 'web' })), { resyncMs: 50 });
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(2));
    await consul.api('PUT', '/v1/agent/service/deregister/node1:web:6379');
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'node1:redis:6379', Name: 'redis', Port: 1 });
    await eventuallyPasses(async () => {
      expect(await ids()).toHaveLength(2);
      expect((await held())['node1:redis:6379']?.Port).toBe(32768);
    });
  });

  it('brings everything back when the agent was killed and came up empty, without a resync', async () => {
    await reconcile(desiredOf(service(), service({ container: 'web' })));
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(2));
    await consul.kill9();
    await consul.restart({ emptyData: true });
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(2));
  });

  it('lets a service that is refused delay no other', async () => {
    const bad = service({ container: 'bad', name: '' });
    const desired = desiredOf(bad);
    await reconcile(desired);
    desired.set('web', [service({ container: 'web' })]);
    await eventuallyPasses(async () => expect(await ids()).toEqual(['node1:web:6379']), { deadlineMs: 1000 });
  });

  it('gives an entry that two containers claim to the one started last, and to the other when that ends', async () => {
    const old = service({ id: 'same', container: 'a', port: 1 });
    const { origin } = service({ container: 'b' });
    const young = service({ id: 'same', container: 'b', port: 2, origin: { ...origin, startedAt: 2_000 } });
    const desired = desiredOf(young, old);
    await reconcile(desired);
    await eventuallyPasses(async () => expect((await held()).same?.Port).toBe(2));
    desired.delete(origin.containerId);
    await eventuallyPasses(async () => expect((await held()).same?.Port).toBe(1));
  });

  it('keeps an entry that moves from one container to another of the same name', async () => {
    const desired = desiredOf(service());
    await reconcile(desired);
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(1));
    desired.delete(service().origin.containerId);
    const { origin } = service();
    desired.set('new', [service({ port: 5, origin: { ...origin, containerId: 'new', startedAt: 5_000 } })]);
    await holds(async () => expect(await ids()).toHaveLength(1), 200);
    expect((await held())['node1:redis:6379']?.Port).toBe(5);
  });

  it('deregisters all of its own on demand, and nothing else', async () => {
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'operators-own', Name: 'x' });
    const desired = desiredOf(...Array.from({ length: 40 }, (_, n) => service({ container: `c${n}` })));
    const { reconciler, stop } = await reconcile(desired);
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(41));
    await reconciler.settled();
    await reconciler.deregisterAll(AbortSignal.timeout(5_000));
    expect(await ids()).toEqual(['operators-own']);
    await stop();
  });

  it('deregisters all the rest where one entry cannot be, and then tells of that one', async () => {
    const desired = desiredOf(...Array.from({ length: 40 }, (_, n) => service({ container: `c${n}` })));
    const { reconciler } = await reconcile(desired);
    await eventuallyPasses(async () => expect(await ids()).toHaveLength(40));
    await reconciler.settled();
    const { registry } = reconciler;
    const deregister = registry.deregister.bind(registry);
    registry.deregister = async (entries, signal) => {
      if (entries.some(({ id }) => id === 'node1:c0:6379')) throw new Error('this one stays');
      return deregister(entries, signal);
    };
    await expect(reconciler.deregisterAll(AbortSignal.timeout(5_000))).rejects.toThrow(
      '1 of the batch failed, the first with: this one stays',
    );
    expect(await ids()).toEqual(['node1:c0:6379']);
  });

  it('settles with a second registrator of other settings on the same host: no flapping, nothing of its removed', async () => {
    const ours = desiredOf(service(), service({ container: 'web' }));
    const theirs = desiredOf(service({ port: 1 }), service({ container: 'db' }));
    await reconcile(ours, { resyncMs: 40 });
    await reconcile(theirs, { resyncMs: 40 });
    const state = async () => JSON.stringify(Object.entries(await held()).map(([id, { Port }]) => [id, Port]));
    let last = '';
    let since = performance.now();
    await eventuallyPasses(
      async () => {
        const now = await state();
        if (now !== last) since = performance.now();
        last = now;
        expect(performance.now() - since).toBeGreaterThan(600);
        expect(await ids()).toEqual(['node1:db:6379', 'node1:redis:6379', 'node1:web:6379']);
      },
      { everyMs: 10 },
    );
  });
});
