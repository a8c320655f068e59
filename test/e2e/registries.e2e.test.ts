import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DockerEngine } from '../support/engine.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { type EventuallyOptions, eventuallyPasses, holds } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';
import { type RegistryPlace, RegistryServers, type Seen } from '../support/registry-places.ts';

/**
 * What happens on the host happens once, and every registry has a registrator of its own that must make of it what is
 * right there: this takes a tenth of the time.
 */
let engine: DockerEngine;
let servers: RegistryServers;
beforeAll(async () => {
  [engine, servers] = await Promise.all([new DockerEngine().start(), new RegistryServers().start()]);
  await engine.importImage('redis', { expose: [6379] });
});
afterAll(async () => {
  await servers?.dispose();
  await engine?.dispose();
});
beforeEach(() => () => engine.removeContainers());

const address = '10.9.8.7';
const host = ['-ip', address, '--hostname', 'node1', '--log-level', 'debug'];
let places = 0;
const newPlace = () => `place${++places}`;

/** What registrator makes of a container of the image `redis`. */
async function redis(container: string, over: Partial<Seen> = {}): Promise<Seen> {
  const port = over.port ?? (await engine.hostPort(container, '6379/tcp'));
  return { name: 'redis', id: `node1:${container}:6379`, address, port, ...over };
}

/** One registrator a registry. */
class Registrators implements AsyncDisposable {
  readonly all: readonly Registrator[];

  constructor(place: string, flags: readonly string[] | ((registry: RegistryPlace) => readonly string[]) = []) {
    this.all = servers.places.map((registry) => {
      const words = typeof flags === 'function' ? flags(registry) : flags;
      return new Registrator([...host, ...words, registry.uri(place)], { host: engine.host, env: registry.env });
    });
  }

  async untilReady(): Promise<void> {
    for (const line of ['looked at every container', 'connected to the registry']) {
      await Promise.all(this.all.map((registrator) => registrator.waitForLog(line, { deadlineMs: 30_000 })));
    }
  }

  /** Resolves with the exit codes, one of each. No run has ever logged a secret. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<(number | string)[]> {
    const codes = await Promise.all(this.all.map((registrator) => registrator.stop(signal)));
    for (const { stdout, stderr } of this.all) {
      for (const secret of [servers.password, encodeURIComponent(servers.password)]) {
        expect(`${stdout}${stderr}`).not.toContain(secret);
      }
    }
    return [...new Set(codes)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Tells of each registry where it is not so, not of the first only. */
async function inEach(check: (registry: RegistryPlace) => Promise<void>): Promise<void> {
  const ends = await Promise.allSettled(servers.places.map(check));
  const wrong = ends.flatMap((end, at) =>
    end.status === 'rejected' ? [`${servers.places[at]?.name}: ${(end.reason as Error).message}`] : [],
  );
  if (wrong.length > 0) throw new Error(wrong.join('\n\n'));
}

type Expected = (registry: RegistryPlace) => readonly string[];

async function holdsThere(registry: RegistryPlace, place: string, expected: Expected): Promise<void> {
  const lines = await registry.lines(place);
  expect(lines, `it holds ${lines.join(', ') || 'nothing'}`).toEqual([...expected(registry)].sort());
}

const isEverywhere = (place: string, expected: Expected) => inEach((registry) => holdsThere(registry, place, expected));

/** Soon, and in each registry at its own time. */
const comesEverywhere = (place: string, expected: Expected, options: EventuallyOptions = {}) =>
  inEach((registry) =>
    eventuallyPasses(() => holdsThere(registry, place, expected), { everyMs: 100, deadlineMs: 30_000, ...options }),
  );

const these =
  (...all: readonly Seen[]): Expected =>
  (registry) =>
    all.map(registry.line);

const stampsOf = async (place: string) =>
  Object.fromEntries(await Promise.all(servers.places.map(async (at) => [at.name, await at.stamps(place)] as const)));

const isZooKeeper = ({ name }: RegistryPlace) => name === 'zookeeper';

describe('in every registry', () => {
  it('a container appears, has other labels, another name, another port, and is gone without a trace', async () => {
    const place = newPlace();
    const [first, second] = [await freePort(), await freePort()];
    await using _all = new Registrators(place);
    await engine.run('--name', 'aa', '-p', `${first}:6379`, 'redis');
    await comesEverywhere(place, these(await redis('aa', { port: first })));

    await engine.docker('rm', '-f', 'aa');
    await engine.run('--name', 'aa', '-p', `${first}:6379`, '-l', 'SERVICE_NAME=cache', 'redis');
    await comesEverywhere(place, these(await redis('aa', { name: 'cache', port: first })));

    await engine.docker('rename', 'aa', 'bb');
    await comesEverywhere(place, these(await redis('bb', { name: 'cache', port: first })));

    await engine.docker('rm', '-f', 'bb');
    await engine.run('--name', 'bb', '-p', `${second}:6379`, '-l', 'SERVICE_NAME=cache', 'redis');
    await comesEverywhere(place, these(await redis('bb', { name: 'cache', port: second })));

    await engine.docker('rm', '-f', 'bb');
    await inEach((registry) => eventuallyPasses(async () => expect(await registry.keys(place)).toEqual([])));
  });

  it('containers whose IDs would be the same DNS label stay apart, and go apart', async () => {
    const place = newPlace();
    await using _all = new Registrators(place);
    for (const name of ['a-a', 'a.a', 'a_a']) await engine.run('--name', name, '-P', 'redis');
    const [dash, dot, low] = [await redis('a-a'), await redis('a.a'), await redis('a_a')];
    await comesEverywhere(place, these(dash, dot, low));
    for (const registry of servers.places.filter(({ name }) => /dns/.test(name))) {
      for (const key of Object.keys(await registry.stamps(place))) {
        const labels = key.split('/').slice(2);
        for (const label of labels) expect(label).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
      }
    }
    await engine.docker('rm', '-f', 'a.a');
    await comesEverywhere(place, these(dash, low));
  });

  it('everything is back after the server came up without its data', async () => {
    const place = newPlace();
    await using all = new Registrators(place);
    await engine.run('--name', 'aa', '-P', 'redis');
    await engine.run('--name', 'bb', '-P', '-l', 'SERVICE_ID=own-id', 'redis');
    const before = these(await redis('aa'), await redis('bb', { id: 'own-id' }));
    await comesEverywhere(place, before);
    await servers.loseData();
    await comesEverywhere(place, before);
    await engine.docker('rm', '-f', 'bb');
    await comesEverywhere(place, these(await redis('aa')));
    expect(await all.stop()).toEqual([0]);
  });

  it('after kill -9 a restart adopts what is right, and removes what is not, but nothing of others', async () => {
    const place = newPlace();
    const other = { name: 'redis', id: 'node2:aa:6379', address: '10.9.9.9', port: 4_001 };
    const operators = { name: 'redis', id: 'by-hand', address: '10.9.9.9', port: 4_002 };
    const foreign = new Map<RegistryPlace, string[]>();
    const writers: (() => Promise<void>)[] = [];
    await inEach(async (registry) => {
      const written = [await registry.write(place, other), await registry.write(place, operators)];
      foreign.set(
        registry,
        written.map(({ line }) => line),
      );
      writers.push(...written.map(({ end }) => end));
    });
    const beside =
      (...all: readonly Seen[]): Expected =>
      (registry) => [...all.map(registry.line), ...(foreign.get(registry) ?? [])];

    await using first = new Registrators(place);
    await engine.run('--name', 'aa', '-P', 'redis');
    await engine.run('--name', 'bb', '-P', '-l', 'SERVICE_ID=own-id', 'redis');
    await engine.run('--name', 'cc', '-P', '-l', 'SERVICE_ID=stays', 'redis');
    const aa = await redis('aa');
    const cc = await redis('cc', { id: 'stays' });
    await comesEverywhere(place, beside(aa, await redis('bb', { id: 'own-id' }), cc));
    const before = await stampsOf(place);

    expect(await first.stop('SIGKILL')).toEqual(['SIGKILL']);
    await engine.docker('rm', '-f', 'bb');
    await engine.run('--name', 'dd', '-P', 'redis');
    const dd = await redis('dd');
    await using second = new Registrators(place);
    await comesEverywhere(place, beside(aa, cc, dd));
    const after = await stampsOf(place);
    // What was right was not written again. ZooKeeper's nodes end with the session of their process, so they were.
    for (const registry of servers.places.filter((one) => !isZooKeeper(one))) {
      const kept = Object.entries(after[registry.name] ?? {}).filter(([key]) => key in (before[registry.name] ?? {}));
      expect(kept.length, registry.name).toBe(4);
      expect(before[registry.name], registry.name).toMatchObject(Object.fromEntries(kept));
    }

    // Stopped, it leaves all as it is; told to, it removes what is its own.
    expect(await second.stop()).toEqual([0]);
    await isEverywhere(place, beside(aa, cc, dd));
    await using third = new Registrators(place, ['--deregister-on-exit']);
    await third.untilReady();
    expect(await third.stop()).toEqual([0]);
    await isEverywhere(place, beside());
    await inEach(async (registry) => {
      const notes = (await registry.keys(place)).filter((key) => key.includes('_registrator'));
      expect(notes).toEqual([]);
    });
    for (const end of writers) await end();
  });

  it('entries of gliderlabs/registrator are taken over, not doubled, and removed where their container is gone', async () => {
    const place = newPlace();
    const containerId = (await engine.run('--name', 'aa', '-P', 'redis')).trim().slice(0, 12);
    const aa = { ...(await redis('aa')), containerId };
    const gone = { ...aa, id: 'node1:gone:6379', port: 4_001 };
    const other = { ...aa, id: 'node2:aa:6379', address: '10.9.9.9', port: 4_002 };
    const lines = new Map<RegistryPlace, string>();
    const olds: (() => Promise<void>)[] = [];
    const others: (() => Promise<void>)[] = [];
    await inEach(async (registry) => {
      for (const seen of [aa, gone]) olds.push((await registry.write(place, seen)).end);
      const foreign = await registry.write(place, other);
      lines.set(registry, foreign.line);
      others.push(foreign.end);
    });
    const before = await stampsOf(place);
    await using all = new Registrators(place);
    await all.untilReady();
    // In ZooKeeper the old one's nodes go with the old one.
    for (const end of olds) await end();
    await comesEverywhere(place, (registry) => [registry.line(aa), lines.get(registry) ?? '']);
    for (const registry of servers.places.filter(({ name }) => /^(consulkv|etcd)/.test(name))) {
      const now = await registry.stamps(place);
      expect(before[registry.name], registry.name).toMatchObject(now);
    }
    await engine.docker('rm', '-f', 'aa');
    await comesEverywhere(place, (registry) => [lines.get(registry) ?? '']);
    for (const end of others) await end();
  });

  it('with --ttl, entries outlive kill -9 and a restart without a moment’s absence, and expire after a kill -9', async () => {
    const place = newPlace();
    const flags = ({ ttl }: RegistryPlace) => ['--ttl', String(ttl)];
    await engine.run('--name', 'aa', '-P', 'redis');
    await engine.run('--name', 'bb', '-P', '-l', 'SERVICE_ID=own-id', 'redis');
    const both = these(await redis('aa'), await redis('bb', { id: 'own-id' }));
    await using first = new Registrators(place, flags);
    await comesEverywhere(place, both);
    await first.stop('SIGKILL');
    await isEverywhere(place, both);
    await using second = new Registrators(place, flags);
    await second.untilReady();
    await comesEverywhere(place, both);
    // What hung on the first one's leases and sessions has its last hour in the time that follows.
    await holds(() => isEverywhere(place, both), 2_000, 100);
    const before = await stampsOf(place);
    await holds(() => isEverywhere(place, both), 24_000, 250);
    // Nor was anything away, or written, between two looks.
    expect(await stampsOf(place)).toEqual(before);

    await second.stop('SIGKILL');
    await isEverywhere(place, both);
    // A Consul session may last twice its TTL.
    await inEach(async (registry) => {
      if (!registry.expires) return holdsThere(registry, place, both);
      return eventuallyPasses(async () => expect(await registry.lines(place)).toEqual([]), {
        deadlineMs: registry.ttl * 2_500,
        everyMs: 200,
      });
    });
  }, 120_000);
});

describe('etcd with authentication', () => {
  const wrong = (uri: string, env: Record<string, string>) =>
    new Registrator([...host, uri], { host: engine.host, env });

  it('tells that the password is wrong, and never what it is', async () => {
    const { address: at } = servers.etcdWithAuth;
    const env = { ETCD_USERNAME: 'app', ETCD_PASSWORD: 'wr0ng/s3cret' };
    await using registrator = wrong(`etcd://${at}/services/x`, env);
    await registrator.waitForLog('the registry does not answer');
    expect(await registrator.stop()).toBe(0);
    const output = `${registrator.stdout}${registrator.stderr}`;
    expect(output).toMatch(/authentication failed|password/);
    expect(output).not.toMatch(/wr0ng(\/|%2F)s3cret/);
  });
});

describe('an etcd cluster of three', () => {
  it('loses nothing when its leader is killed while 1,000 services are registered, nor while they are removed', async () => {
    await using cluster = await new EtcdCluster().start();
    const [any] = cluster.members;
    if (any === undefined) throw new Error('the cluster has no members');
    await using registrator = new Registrator(
      [...host, '--internal', '--ttl', '5', `etcd://${cluster.address}/services`],
      { host: engine.host },
    );
    await registrator.waitForLog('connected to the registry');
    const run = (name: string) => engine.run('--name', name, '--expose', '1000-1248', 'redis');
    const leader = await leaderOf(cluster);
    const follower = cluster.members.find((member) => member !== leader) ?? any;
    const count = async () => (await follower.list('/services/')).size;
    await run('aa');
    await eventuallyPasses(async () => expect(await count()).toBeGreaterThan(0));
    const more = ['bb', 'cc', 'dd'].map(run);
    await leader.kill9();
    await Promise.all(more);
    await eventuallyPasses(async () => expect(await count()).toBe(1_000), { deadlineMs: 20_000 });
    // The lease outlived its leader.
    await holds(async () => expect(await count()).toBe(1_000), 7_000, 200);
    const keys = [...(await follower.list('/services/')).keys()].sort();
    const expected = ['aa', 'bb', 'cc', 'dd'].flatMap((name) =>
      [6379, ...Array.from({ length: 249 }, (_, n) => 1_000 + n)].map(
        (port) => `/services/redis-${port}/node1:${name}:${port}`,
      ),
    );
    expect(keys).toEqual(expected.sort());

    await leader.start();
    const removing = engine.removeContainers();
    await (await leaderOf(cluster)).kill9();
    await removing;
    await eventuallyPasses(async () => expect((await leader.list()).size).toBe(0), { deadlineMs: 20_000 });
    expect(await registrator.stop()).toBe(0);
  });
});

async function leaderOf({ members }: EtcdCluster) {
  for (const member of members) {
    if (!member.running) continue;
    const [status] = JSON.parse(await member.ctl('endpoint', 'status', '-w', 'json')) as {
      Status: { leader: number; header: { member_id: number } };
    }[];
    if (status?.Status.leader === status?.Status.header.member_id) return member;
  }
  throw new Error('no member of the cluster says that it is the leader');
}
