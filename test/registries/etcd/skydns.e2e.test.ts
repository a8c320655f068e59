import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../../src/lib/log/index.ts';

import { coredns, skydns2 } from '../../../src/registries/etcd/skydns.ts';
import type { Registry } from '../../../src/registries/index.ts';
import { idLabel } from '../../../src/registries/kit/index.ts';
import { EtcdServer } from '../../support/etcd.ts';
import { service } from '../../support/service.ts';

const log = await createLogger('silent', 'json');
const { signal } = new AbortController();
const owner = { host: 'node1', engine: 'ENGINE-1' };

let server: EtcdServer;
beforeAll(async () => {
  server = await new EtcdServer().start();
});
afterAll(() => server.dispose());
beforeEach(async () => {
  await server.ctl('del', '--prefix', '');
  await fetch(`http://${server.address}/v2/keys/skydns?recursive=true`, { method: 'DELETE' });
});

async function open(factory: typeof coredns, path: string, ttl?: number): Promise<Registry> {
  const scheme = factory === coredns ? 'coredns' : 'skydns2';
  const context = { owner, env: {}, log, ...(ttl === undefined ? {} : { ttl }) };
  const registry = await factory(`${scheme}://${server.address}/${path}`, context);
  onTestFinished(() => registry.close());
  return registry;
}

async function legacy(key: string): Promise<{ value?: string; nodes?: { key: string }[] } | undefined> {
  const answer = await fetch(`http://${server.address}/v2/keys${key}`);
  return answer.ok ? ((await answer.json()) as { node: { value?: string } }).node : undefined;
}

const label = idLabel('node1:redis:6379');

describe('CoreDNS', () => {
  it('finds a service at the reversed name, and two whose IDs clean to the same label as two', async () => {
    const registry = await open(coredns, 'services.example');
    await registry.connect(signal);
    const services = [
      service({ port: 1 }),
      service({ id: 'a.b', port: 2 }),
      service({ id: 'a:b', port: 3 }),
      service({ id: 'plain', port: 4, address: 'fd00::1' }),
    ];
    await registry.register(services, signal);
    // What the plugin asks for redis.services.example (CoreDNS: plugin/etcd/msg/path.go).
    const records = await server.list('/skydns/example/services/redis/');
    expect(records).toEqual(
      new Map([
        [`/skydns/example/services/redis/${label}`, '{"host":"10.0.0.1","port":1}'],
        [`/skydns/example/services/redis/${idLabel('a.b')}`, '{"host":"10.0.0.1","port":2}'],
        [`/skydns/example/services/redis/${idLabel('a:b')}`, '{"host":"10.0.0.1","port":3}'],
        ['/skydns/example/services/redis/plain', '{"host":"fd00::1","port":4}'],
      ]),
    );
    expect(new Set([...records.keys()].map((key) => key.split('/').at(-1))).size).toBe(4);
    const found = new Map((await registry.registered(signal)).map((entry) => [entry.id, entry]));
    for (const one of services) expect(found.get(one.id)).toEqual(registry.entry(one));
    // Whatever else is below /skydns is no record.
    for (const [key, value] of await server.list('/skydns/_registrator/')) {
      expect(JSON.parse(value), key).not.toHaveProperty('host');
    }
    await registry.deregister([...found.values()], signal);
    expect(await server.list()).toEqual(new Map());
  });

  it('keeps 1,000 services on one lease, in 20 transactions', async () => {
    const registry = await open(coredns, 'services.example', 60);
    const before = await server.revision();
    for (let at = 0; at < 1_000; at += 100) {
      const part = Array.from({ length: 100 }, (_, n) => service({ container: `c${at + n}` }));
      await registry.register(part, signal);
    }
    expect((await server.revision()) - before).toBe(20);
    expect((await registry.registered(signal)).length).toBe(1_000);
  });

  it('may look below another prefix, with the URI that fayrus/registrator takes', async () => {
    const registry = await open(coredns, 'dns/records?zone=Services.Example.');
    await registry.register([service()], signal);
    expect([...(await server.list('/dns/records/example')).keys()]).toEqual([
      `/dns/records/example/services/redis/${label}`,
    ]);
  });

  it.each(['', 'a/b', 'services.example?x=1', 'b%20d'])('needs a domain: %j is refused', async (path) => {
    await expect(open(coredns, path)).rejects.toThrow(/domain/);
    await expect(open(skydns2, path)).rejects.toThrow(/domain/);
  });
});

describe('SkyDNS', () => {
  it('finds a service at the reversed name', async () => {
    const registry = await open(skydns2, 'services.example', 60);
    await registry.connect(signal);
    await registry.register([service({ id: 'a.b' })], signal);
    expect((await legacy(`/skydns/example/services/redis/${idLabel('a.b')}`))?.value).toBe(
      '{"host":"10.0.0.1","port":32768}',
    );
    expect((await legacy('/skydns'))?.nodes?.map(({ key }) => key)).toEqual(['/skydns/example']);
    await registry.refresh?.([service({ id: 'a.b' })], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(service({ id: 'a.b' }))]);
    await registry.deregister(await registry.registered(signal), signal);
    expect(await legacy('/skydns/example/services/redis')).toBeUndefined();
    expect(await legacy('/skydns/_registrator')).toBeUndefined();
  });

  it('keeps one entry of a service that gliderlabs/registrator wrote under its raw ID', async () => {
    const old = `http://${server.address}/v2/keys/skydns/example/services/redis/node1:redis:6379`;
    await fetch(old, { method: 'PUT', body: new URLSearchParams({ value: '{"host":"10.0.0.1","port":32768}' }) });
    const registry = await open(skydns2, 'services.example');
    const found = await registry.registered(signal);
    expect(found).toMatchObject([{ key: '/skydns/example/services/redis/node1:redis:6379', id: 'node1:redis:6379' }]);
    await registry.register([service()], signal);
    await registry.deregister(found, signal);
    expect((await legacy('/skydns/example/services/redis'))?.nodes?.map(({ key }) => key)).toEqual([
      `/skydns/example/services/redis/${label}`,
    ]);
  });
});
