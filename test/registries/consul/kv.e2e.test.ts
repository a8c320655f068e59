import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { consulKv, ownerFlags } from '../../../src/registries/consul/kv.ts';
import type { Registry } from '../../../src/registries/registry.ts';
import { ConsulServer } from '../../support/consul.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import { reconcile } from '../reconcile.ts';
import { serviceOf } from '../service.ts';

const owner = { host: 'node1', engine: 'ENGINE' };
const signal = new AbortController().signal;

interface Pair {
  readonly Key: string;
  readonly Value: string;
  readonly Flags: number;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

describe('consulkv', () => {
  let server: ConsulServer;
  const open: Registry[] = [];

  beforeAll(async () => {
    server = await new ConsulServer().start();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((registry) => registry.close()));
  });
  afterAll(() => server.dispose());

  async function connect(prefix: string, change: { ttl?: number; uri?: string; host?: string } = {}) {
    const registry = await consulKv(change.uri ?? `consulkv://${server.address}/${prefix}`, {
      owner: { host: change.host ?? owner.host, engine: owner.engine },
      env: {},
      log: pino({ level: 'silent' }),
      ...(change.ttl === undefined ? {} : { ttl: change.ttl }),
    });
    open.push(registry);
    await registry.connect(signal);
    await registry.registered(signal);
    return registry;
  }

  async function pairs(prefix: string): Promise<readonly Pair[]> {
    const found = await server.api<readonly Pair[]>('GET', `/v1/kv/${prefix}/?recurse`).catch(() => []);
    return found.map((pair) => ({ ...pair, Value: Buffer.from(pair.Value, 'base64').toString() }));
  }

  test('keys lie as gliderlabs/registrator wrote them, with the owner in their flags', async () => {
    const registry = await connect('layout/of/it');
    await registry.register([serviceOf(80), serviceOf(81, { address: '2001:db8::1' })], signal);
    expect(await pairs('layout')).toMatchObject([
      { Key: 'layout/of/it/web/node1:web:80', Value: '10.1.2.3:80', Flags: ownerFlags(owner) },
      { Key: 'layout/of/it/web/node1:web:81', Value: '[2001:db8::1]:81', Flags: ownerFlags(owner) },
    ]);
    expect((await pairs('layout')).map(({ Session }) => Session)).toEqual([undefined, undefined]);
  });

  test('what gliderlabs/registrator wrote is ours as it stands; what others wrote is not', async () => {
    for (const key of ['web/node1:web:80', 'web/node2:web:80', 'web/some-id', 'web/node1', 'deep/er/node1:web:80']) {
      await server.api('PUT', `/v1/kv/adopt/${key}`, undefined);
    }
    await server.api('PUT', '/v1/txn', [
      { KV: { Verb: 'set', Key: 'adopt/web/node1:web:80', Value: Buffer.from('10.1.2.3:80').toString('base64') } },
    ]);
    const registry = await connect('adopt');
    expect(await registry.registered(signal)).toEqual([registry.entry(serviceOf(80))]);
  });

  test('a session holds the keys where there is a TTL, one for all of them', async () => {
    const registry = await connect('held', { ttl: 15 });
    await registry.register([serviceOf(80), serviceOf(81)], signal);
    await registry.register([serviceOf(82)], signal);
    const sessions = new Set((await pairs('held')).map(({ Session }) => Session));
    expect(sessions.size).toBe(1);
    const [id] = sessions;
    expect(await server.api('GET', `/v1/session/info/${id}`)).toMatchObject([
      { Name: 'registrator', TTL: '15s', Behavior: 'delete', LockDelay: 0 },
    ]);
  });

  test('a session that is gone is replaced by the next refresh, and the keys are back with it', async () => {
    const registry = await connect('renewed', { ttl: 10 });
    const services = Array.from({ length: 50 }, (_, n) => serviceOf(1_000 + n, { ttl: 10 }));
    for (const from of [0, 20, 40]) await registry.register(services.slice(from, from + 20), signal);
    const before = (await pairs('renewed'))[0]?.Session;
    await registry.refresh?.(services, signal);
    expect(new Set((await pairs('renewed')).map(({ Session }) => Session))).toEqual(new Set([before]));

    await server.api('PUT', `/v1/session/destroy/${before}`);
    expect(await pairs('renewed')).toEqual([]);
    await registry.refresh?.(services, signal);
    const after = await pairs('renewed');
    expect(after).toHaveLength(50);
    expect(new Set(after.map(({ Session }) => Session)).size).toBe(1);
    expect(after[0]?.Session).not.toBe(before);
  });

  test('a session that turns out to be gone while registering is told of', async () => {
    const registry = await connect('gone', { ttl: 10 });
    await registry.register([serviceOf(80)], signal);
    await server.api('PUT', `/v1/session/destroy/${(await pairs('gone'))[0]?.Session}`);
    const lost = registry.lost?.(signal);
    await registry.register([serviceOf(81), serviceOf(82)], signal);
    expect(await lost).toBe('the Consul session expired');
    expect((await registry.registered(signal)).map(({ id }) => id)).toEqual(['node1:web:81', 'node1:web:82']);
  });

  test('the reconciler has everything back with the next heartbeat after a session was lost', async () => {
    const registry = await connect('reconciled', { ttl: 10 });
    const services = Array.from({ length: 100 }, (_, n) => serviceOf(1_000 + n, { ttl: 10 }));
    await using _work = reconcile(registry, services, 300);
    await eventuallyPasses(async () => expect(await pairs('reconciled')).toHaveLength(100));
    const session = (await pairs('reconciled'))[0]?.Session;
    await server.api('PUT', `/v1/session/destroy/${session}`);
    await eventuallyPasses(async () => expect(await pairs('reconciled')).toHaveLength(100));
    expect((await pairs('reconciled'))[0]?.Session).not.toBe(session);
  });

  test('reading and refreshing write nothing', async () => {
    const registry = await connect('still', { ttl: 10 });
    await registry.register([serviceOf(80)], signal);
    const before = await pairs('still');
    await registry.refresh?.([serviceOf(80)], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(serviceOf(80))]);
    expect(await pairs('still')).toEqual(before);
  });

  test('without a TTL the keys of a process that had one are freed of its session', async () => {
    const first = await connect('freed', { ttl: 10 });
    await first.register([serviceOf(80)], signal);
    await first.close();
    const next = await connect('freed');
    expect((await next.registered(signal))[0]?.content).toBe('10.1.2.3:80 by another session');
    await next.register([serviceOf(80)], signal);
    expect((await pairs('freed')).map(({ Session, Value }) => [Session, Value])).toEqual([[undefined, '10.1.2.3:80']]);
  });

  test('what somebody changed in between is looked at again, and put right', async () => {
    const registry = await connect('changed');
    await registry.register([serviceOf(80)], signal);
    await server.api('PUT', '/v1/kv/changed/web/node1:web:80', 'nonsense');
    await registry.register([serviceOf(80, { address: '10.9.9.9' })], signal);
    expect((await pairs('changed'))[0]?.Value).toBe('10.9.9.9:80');
    await server.api('PUT', '/v1/kv/changed/web/node1:web:80', 'nonsense');
    await registry.deregister([registry.entry(serviceOf(80))], signal);
    expect(await pairs('changed')).toEqual([]);
  });

  test('a Unix socket', async () => {
    const registry = await connect('', { uri: `consulkv-unix://${server.socket}:/by/socket` });
    await registry.register([serviceOf(80)], signal);
    expect((await pairs('by/socket')).map(({ Key }) => Key)).toEqual(['by/socket/web/node1:web:80']);
    expect(registry.name).toBe(`consulkv-unix://${server.socket}/by/socket`);
  });

  test('the server’s restart is noticed', async () => {
    const registry = await connect('restart');
    await registry.register([serviceOf(80)], signal);
    const lost = registry.lost?.(signal);
    await server.restart();
    expect(await lost).toEqual(expect.any(String));
    // Consul answers before it has replayed its log: with nothing in it.
    await eventuallyPasses(async () => {
      expect(await registry.registered(signal)).toEqual([registry.entry(serviceOf(80))]);
    });
  });
});
