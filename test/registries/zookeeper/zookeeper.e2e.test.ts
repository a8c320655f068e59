import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RefusedError, type Registry } from '../../../src/registries/registry.ts';
import { zooKeeper } from '../../../src/registries/zookeeper/zookeeper.ts';
import { eventuallyPasses, holds } from '../../support/eventually.ts';
import { FaultProxy } from '../../support/proxy.ts';
import { ZooKeeperServer } from '../../support/zookeeper.ts';
import { ZooKeeperClient } from '../../support/zookeeper-client.ts';
import { reconcile } from '../reconcile.ts';
import { serviceOf } from '../service.ts';

const owner = { host: 'node1', engine: 'ENGINE' };
const signal = new AbortController().signal;

describe('zookeeper', () => {
  let server: ZooKeeperServer;
  let bystander: ZooKeeperClient;
  const open: Registry[] = [];

  beforeAll(async () => {
    server = await new ZooKeeperServer().start();
    bystander = await new ZooKeeperClient(server.address).connect();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((registry) => registry.close()));
  });
  afterAll(async () => {
    bystander.close();
    await server.dispose();
  });

  async function connect(path: string, change: { address?: string; host?: string; ttl?: number } = {}) {
    const host = change.host ?? owner.host;
    const registry = await zooKeeper(`zookeeper://${change.address ?? server.address}${path}`, {
      owner: { host, engine: `ENGINE of ${host}` },
      env: {},
      log: pino({ level: 'silent' }),
      ttl: change.ttl ?? 2,
    });
    open.push(registry);
    await registry.connect(signal);
    return registry;
  }

  test('nodes are ephemeral, in the layout of gliderlabs/registrator', async () => {
    const registry = await connect('/layout/of/it');
    await registry.register([serviceOf(8080, { tags: ['a', 'b'], meta: { color: 'blue' } })], signal);
    const { text = '', session } = (await bystander.read('/layout/of/it/web/10.1.2.3:8080')) ?? {};
    expect(JSON.parse(text)).toEqual({
      Name: 'web',
      IP: '10.1.2.3',
      PublicPort: 8080,
      PrivatePort: 6379,
      ContainerID: 'web-00000000',
      Tags: ['a', 'b'],
      Attrs: {
        color: 'blue',
        'registrator-host': 'node1',
        'registrator-engine': 'ENGINE of node1',
        'registrator-id': 'node1:web:8080',
      },
    });
    expect(session).not.toMatch(/^0*$/);
    for (const parent of ['/layout', '/layout/of', '/layout/of/it', '/layout/of/it/web']) {
      expect((await bystander.read(parent))?.session).toBe('0000000000000000');
    }
    await registry.deregister([registry.entry(serviceOf(8080))], signal);
    expect(await bystander.children('/layout/of/it')).toEqual([]);
  });

  test('TCP and UDP on one port number have a node each', async () => {
    const registry = await connect('/dns');
    const tcp = serviceOf(53);
    const udp = serviceOf(53, { id: 'node1:web:53:udp', protocol: 'udp', tags: ['udp'] });
    await registry.register([tcp, udp], signal);
    expect((await bystander.children('/dns/web'))?.sort()).toEqual(['10.1.2.3:53', '10.1.2.3:53:udp']);
    expect(JSON.parse((await bystander.read('/dns/web/10.1.2.3:53:udp'))?.text ?? '')).toMatchObject({
      PublicPort: 53,
      Tags: ['udp'],
      Attrs: { 'registrator-id': 'node1:web:53:udp' },
    });
    const found = await registry.registered(signal);
    expect(found.map(({ id }) => id).sort()).toEqual(['node1:web:53', 'node1:web:53:udp']);
    await registry.deregister([registry.entry(udp)], signal);
    expect(await bystander.children('/dns/web')).toEqual(['10.1.2.3:53']);
  });

  test('at the root, other people’s nodes are passed by', async () => {
    const registry = await connect('');
    await registry.register([serviceOf(80, { name: 'at-root' })], signal);
    expect((await registry.registered(signal)).map(({ key }) => key)).toEqual(['/at-root/10.1.2.3:80']);
    await registry.deregister(await registry.registered(signal), signal);
    expect(await bystander.exists('/at-root')).toBe(false);
  });

  test('a node that gliderlabs/registrator left at the same place is taken over', async () => {
    const old = await new ZooKeeperClient(server.address).connect();
    const registry = await connect('/adopt');
    await registry.register([serviceOf(81)], signal);
    const node = { ...JSON.parse(registry.entry(serviceOf(80)).content), Tags: null, Attrs: {} };
    await old.create('/adopt/web/10.1.2.3:80', JSON.stringify(node), 'EPHEMERAL');
    await registry.register([serviceOf(80)], signal);
    old.close();
    await holds(async () => expect((await bystander.children('/adopt/web'))?.length).toBe(2), 500);
    expect(await registry.registered(signal)).toHaveLength(2);
  });

  test('a persistent node, which only a person makes, is left alone', async () => {
    const registry = await connect('/manual');
    await registry.register([serviceOf(81)], signal);
    await bystander.create('/manual/web/10.1.2.3:80', 'by hand', 'PERSISTENT');
    const failure = await registry.register([serviceOf(80)], signal).catch((error: unknown) => error);
    expect(failure).toMatchObject({ failures: new Map([['/manual/web/10.1.2.3:80', expect.any(RefusedError)]]) });
    await registry.deregister([registry.entry(serviceOf(81))], signal);
    expect((await bystander.read('/manual/web/10.1.2.3:80'))?.text).toBe('by hand');
  });

  test('a short loss of the connection keeps the session, and nothing is written again', async () => {
    await using proxy = await new FaultProxy(server.port).start();
    const registry = await connect('/short', { address: proxy.address });
    await registry.register([serviceOf(80)], signal);
    const before = await bystander.read('/short/web/10.1.2.3:80');
    const lost = registry.lost?.(signal);
    proxy.cut();
    expect(await lost).toBe('the connection to ZooKeeper was lost');
    await eventuallyPasses(() => registry.connect(signal));
    expect(await registry.registered(signal)).toEqual([registry.entry(serviceOf(80))]);
    await holds(async () => expect(await bystander.read('/short/web/10.1.2.3:80')).toEqual(before), 2_500, 100);
    expect(proxy.connections).toBe(2);
  });

  test('a session that expired is replaced, and what it held can be registered again', async () => {
    await using proxy = await new FaultProxy(server.port).start();
    const registry = await connect('/expiry', { address: proxy.address });
    await registry.register([serviceOf(80), serviceOf(81)], signal);
    const lost = registry.lost?.(signal);
    await proxy.stop();
    await lost;
    await expect(registry.registered(signal)).rejects.toThrow('no connection to ZooKeeper');
    await eventuallyPasses(async () => expect(await bystander.children('/expiry/web')).toEqual([]));
    await proxy.start();
    await eventuallyPasses(() => registry.connect(signal));
    expect(await registry.registered(signal)).toEqual([]);
    await registry.register([serviceOf(80), serviceOf(81)], signal);
    expect(await registry.registered(signal)).toHaveLength(2);
  });

  test('the reconciler has everything back soon after a session expired', async () => {
    await using proxy = await new FaultProxy(server.port).start();
    const registry = await connect('/reconciled', { address: proxy.address });
    const services = Array.from({ length: 100 }, (_, n) => serviceOf(1_000 + n));
    await using _work = reconcile(registry, services);
    const there = async () => (await bystander.children('/reconciled/web').catch(() => undefined))?.length ?? 0;
    await eventuallyPasses(async () => expect(await there()).toBe(100));
    await proxy.stop();
    await eventuallyPasses(async () => expect(await there()).toBe(0));
    await proxy.start();
    await eventuallyPasses(async () => expect(await there()).toBe(100));
  });

  test('the reconciler has everything back soon after the server came back empty', async () => {
    await using own = await new ZooKeeperServer().start();
    const registry = await connect('/reconciled', { address: own.address });
    await using work = reconcile(registry, [serviceOf(80), serviceOf(81)]);
    await eventuallyPasses(() => expect(work.reconciler.status).toMatchObject({ up: true, queue: 0, failing: 0 }));
    await own.restart({ emptyData: true });
    const after = await new ZooKeeperClient(own.address).connect();
    await eventuallyPasses(async () => expect(await after.children('/reconciled/web')).toHaveLength(2));
    after.close();
  });

  test('a connection that has gone silent is noticed within the session’s time-out', async () => {
    await using proxy = await new FaultProxy(server.port).start();
    const registry = await connect('/silent', { address: proxy.address });
    await registry.register([serviceOf(80)], signal);
    const lost = registry.lost?.(signal);
    const started = performance.now();
    proxy.stall();
    await lost;
    expect(performance.now() - started).toBeLessThan(2_500);
    proxy.resume();
    await eventuallyPasses(() => registry.connect(signal));
  });

  test('the next host is taken where one is down', async () => {
    await using down = await new FaultProxy(server.port).start();
    const { port } = down;
    await down.stop();
    const registries = await Promise.all(
      Array.from({ length: 6 }, () => connect('/hosts', { address: `127.0.0.1:${port},${server.address}` })),
    );
    for (const registry of registries) expect(await registry.registered(signal)).toEqual([]);
  });

  test('two hosts that come and go under one name never lose each other’s parent', async () => {
    const hosts = await Promise.all(['a', 'b'].map((host) => connect('/race', { host })));
    const comeAndGo = async (registry: Registry, n: number) => {
      const own = serviceOf(80 + n, { id: `${'ab'[n]}:web:80` });
      for (let round = 0; round < 150; round++) {
        await registry.register([own], signal);
        expect(await registry.registered(signal)).toHaveLength(1);
        if (round < 149) await registry.deregister([registry.entry(own)], signal);
      }
    };
    await Promise.all(hosts.map(comeAndGo));
    expect((await bystander.children('/race/web'))?.sort()).toEqual(['10.1.2.3:80', '10.1.2.3:81']);
  });

  test('closing while it connects leaves no connection', async () => {
    await using proxy = await new FaultProxy(server.port).start();
    const registry = await connect('/closing', { address: proxy.address });
    proxy.cut();
    await registry.close();
    await holds(() => expect(proxy.open).toBeLessThan(2), 300);
    await eventuallyPasses(() => expect(proxy.open).toBe(0));
    await expect(registry.connect(signal)).rejects.toThrow('closed');
  });
});
