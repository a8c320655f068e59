import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine } from '../support/engine.ts';
import { EtcdServer } from '../support/etcd.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { FaultProxy } from '../support/proxy.ts';
import { Registrator } from '../support/registrator.ts';
import { ZooKeeperServer } from '../support/zookeeper.ts';

let engine: DockerEngine;
let consul: ConsulServer;
let etcd: EtcdServer;
beforeAll(async () => {
  [engine, consul, etcd] = await Promise.all([
    new DockerEngine().start(),
    new ConsulServer().start(),
    new EtcdServer().start(),
  ]);
  await engine.importImage('redis', { expose: [6379] });
});
afterAll(async () => {
  await Promise.all([consul?.dispose(), etcd?.dispose(), engine?.dispose()]);
});
beforeEach(() => () => engine.removeContainers());

const start = (...words: string[]) =>
  new Registrator(['-ip', '10.9.8.7', '--hostname', 'node1', ...words], { host: engine.host });

async function inConsul(prefix: string): Promise<string[]> {
  const absent = () => [];
  const keys = await consul.api<string[]>('GET', `/v1/kv/${prefix}/?keys`).catch(absent);
  return keys.map((key) => key.slice(prefix.length + 1)).sort();
}

/** Through etcd's own JSON gateway, which answers in a millisecond. */
async function inEtcd(prefix: string): Promise<string[]> {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const body = JSON.stringify({ key: encode(`/${prefix}/`), range_end: encode(`/${prefix}0`), keys_only: true });
  const answer = await fetch(`http://${etcd.address}/v3/kv/range`, { method: 'POST', body });
  const { kvs = [] } = (await answer.json()) as { kvs?: { key: string }[] };
  return kvs
    .map(({ key }) =>
      Buffer.from(key, 'base64')
        .toString()
        .slice(prefix.length + 2),
    )
    .sort();
}

/** Without a process of the command line, so that only registrator takes time. */
function rename(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = `/containers/${from}/rename?name=${to}`;
    request({ socketPath: engine.socket, path, method: 'POST' }, (response) => {
      response.resume();
      response.once('end', () => (response.statusCode === 204 ? resolve() : reject(new Error(`${from}: not renamed`))));
    })
      .once('error', reject)
      .end();
  });
}

const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;

describe('with several registries', () => {
  it('each gets every service, and loses what is gone', async () => {
    await using zookeeper = await new ZooKeeperServer().start();
    const [http, dns] = [await freePort(), await freePort()];
    await using registrator = start(
      `memory://127.0.0.1:${http}?dns=${dns}`,
      `consul://${consul.address}`,
      `consulkv://${consul.address}/all`,
      `etcd://${etcd.address}/all`,
      `coredns://${etcd.address}/all.example`,
      `zookeeper://${zookeeper.address}/all`,
    );
    const catalogue = async (address: string) =>
      Object.keys(((await (await fetch(`http://${address}/v1/agent/services`)).json()) as object) ?? {}).sort();
    const everywhere = async () => ({
      memory: await catalogue(`127.0.0.1:${http}`),
      consul: await catalogue(consul.address),
      consulkv: await inConsul('all'),
      etcd: await inEtcd('all'),
      coredns: (await inEtcd('skydns/example/all')).map((key) => key.replace(/-[0-9a-f]{8}$/, '')),
      zookeeper: ((await zookeeper.ask('dump')).match(/\/all\/redis\/10\.9\.8\.7:\d+/g) ?? []).length,
    });
    const holding = (...names: string[]) => ({
      memory: names.map((name) => `node1:${name}:6379`),
      consul: names.map((name) => `node1:${name}:6379`),
      consulkv: names.map((name) => `redis/node1:${name}:6379`),
      etcd: names.map((name) => `redis/node1:${name}:6379`),
      coredns: names.map((name) => `redis/node1-${name}-6379`),
      zookeeper: names.length,
    });
    await engine.run('-P', '--name', 'aa', 'redis');
    await engine.run('-P', '--name', 'bb', 'redis');
    await eventuallyPasses(async () => expect(await everywhere()).toEqual(holding('aa', 'bb')), { deadlineMs: 30_000 });
    await engine.docker('rm', '-f', 'aa');
    await eventuallyPasses(async () => expect(await everywhere()).toEqual(holding('bb')));
    await engine.docker('rm', '-f', 'bb');
    await eventuallyPasses(async () => expect(await everywhere()).toEqual(holding()));
    expect(await registrator.stop()).toBe(0);
  });

  it.each([
    ['refuses connections', (proxy: FaultProxy) => proxy.stop(), (proxy: FaultProxy) => proxy.start()],
    ['swallows what it is sent', (proxy: FaultProxy) => proxy.stall(), (proxy: FaultProxy) => proxy.resume()],
  ] as const)(
    'one that %s makes the other no later, and catches up when it is back',
    async (what, fail, recover) => {
      const prefix = what.replaceAll(' ', '-');
      const alone = `${prefix}-alone`;
      await using proxy = await new FaultProxy(consul.httpPort).start();
      await using registrator = start(`consulkv://${proxy.address}/${prefix}`, `etcd://${etcd.address}/${prefix}`);
      // The measure: how long it takes at the same moment, for the same events, without the one that is away.
      await using _measure = start(`etcd://${etcd.address}/${alone}`);
      let name = 'c0';
      let renames = 0;
      await engine.run('-P', '--name', name, 'redis');
      const there = () => [`redis/node1:${name}:6379`];
      for (const at of [prefix, alone]) {
        await eventuallyPasses(async () => expect(await inEtcd(at)).toEqual(there()), { deadlineMs: 30_000 });
      }
      await eventuallyPasses(async () => expect(await inConsul(prefix)).toEqual(there()));

      const late: number[] = [];
      const lateAlone: number[] = [];
      const renameAndTime = async () => {
        const before = name;
        name = `c${++renames}`;
        const started = performance.now();
        await rename(before, name);
        const arrival = async (at: string, times: number[]) => {
          await eventually(async () => (await inEtcd(at)).includes(`redis/node1:${name}:6379`), { everyMs: 1 });
          times.push(performance.now() - started);
        };
        await Promise.all([arrival(prefix, late), arrival(alone, lateAlone)]);
        await sleep(100);
      };

      for (let n = 0; n < 5; n++) await renameAndTime(); // the first of everything is slower
      late.length = lateAlone.length = 0;
      await fail(proxy);
      // Longer than a request waits for its answer.
      for (const until = performance.now() + 12_000; performance.now() < until; ) await renameAndTime();
      expect(await inConsul(prefix)).not.toEqual(there());
      await recover(proxy);
      // Tries are at most 15 s apart.
      await eventuallyPasses(async () => expect(await inConsul(prefix)).toEqual(there()), { deadlineMs: 30_000 });
      await eventuallyPasses(async () => expect(await inEtcd(prefix)).toEqual(there()));

      expect(late.length).toBeGreaterThan(20);
      expect(median(late), `${median(late)} ms beside one that is away`).toBeLessThan(median(lateAlone) * 1.5 + 10);
      expect(Math.max(...late)).toBeLessThan(Math.max(...lateAlone) * 2 + 500);
      const warnings = (of: string) =>
        registrator.lines.filter(({ registry, level }) => String(registry).startsWith(of) && level === 'warn');
      expect(warnings('etcd:')).toEqual([]);
      const away = warnings('consulkv:').filter(({ msg }) => msg?.includes('the registry does not answer'));
      expect(away.length).toBeLessThanOrEqual(1);
    },
    120_000,
  );

  it('one that never answered keeps the other from nothing: not from the start, not from a clean end', async () => {
    await using proxy = await new FaultProxy(consul.httpPort).start();
    proxy.stall();
    const uris = [`consulkv://${proxy.address}/never`, `etcd://${etcd.address}/never`];
    await engine.run('-P', '--name', 'aa', 'redis');
    await using first = start(...uris);
    await eventuallyPasses(async () => expect(await inEtcd('never')).toEqual(['redis/node1:aa:6379']), {
      deadlineMs: 30_000,
    });
    const stopping = performance.now();
    expect(await first.stop()).toBe(0);
    expect(performance.now() - stopping).toBeLessThan(10_000);
    expect(await inEtcd('never')).toEqual(['redis/node1:aa:6379']);

    await using second = start('--deregister-on-exit', ...uris);
    await second.waitForLog('looked at every container', { deadlineMs: 30_000 });
    await second.waitForLog(({ registry, msg }) => registry === uris[1] && msg === 'connected to the registry');
    const again = performance.now();
    expect(await second.stop()).toBe(0);
    expect(performance.now() - again).toBeLessThan(10_000);
    expect(await inEtcd('never')).toEqual([]);
  });
});
