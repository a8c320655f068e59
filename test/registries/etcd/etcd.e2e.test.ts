import pMap from 'p-map';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { batches } from '../../../src/lib/batches.ts';
import { createLogger } from '../../../src/lib/log/index.ts';

import { etcd } from '../../../src/registries/etcd/etcd.ts';
import { ConflictError, type Owner, RefusedError, type Registry } from '../../../src/registries/index.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { EtcdCluster, type EtcdOptions, EtcdServer } from '../../support/etcd.ts';
import { eventually, eventuallyPasses, holds } from '../../support/eventually.ts';
import { service } from '../../support/service.ts';
import { byKey, entriesOf, failuresOf } from '../entries.ts';

const log = await createLogger('silent', 'json');
const { signal } = new AbortController();
const node1 = { host: 'node1', engine: 'ENGINE-1' };
const node2 = { host: 'node2', engine: 'ENGINE-2' };

interface Setting {
  readonly owner?: Owner;
  readonly ttl?: number;
  readonly env?: Readonly<Record<string, string>>;
}

async function open(uri: string, { owner = node1, ttl, env = {} }: Setting = {}): Promise<Registry> {
  const registry = await etcd(uri, { owner, env, log, ...(ttl === undefined ? {} : { ttl }) });
  onTestFinished(() => registry.close());
  return registry;
}

async function freshServer(options: EtcdOptions = {}): Promise<EtcdServer> {
  const server = new EtcdServer(options);
  onTestFinished(() => server.dispose());
  return server.start();
}

const instance = (n: number, more: object = {}) => service({ container: `c${n}`, port: 10_000 + n, ...more });
const instances = (count: number, more: object = {}) => Array.from({ length: count }, (_, n) => instance(n, more));

async function registerAll(registry: Registry, services: ReturnType<typeof instances>): Promise<void> {
  for (const batch of batches(services, registry.batchSize)) await registry.register(batch, signal);
}

const leases = async (server: EtcdServer) =>
  (await server.ctl('lease', 'list')).split('\n').filter((line) => /^[0-9a-f]{10,}$/.test(line));

describe('etcd v3', () => {
  let server: EtcdServer;
  let uri: string;
  beforeAll(async () => {
    server = await new EtcdServer().start();
    uri = `etcd://${server.address}/services`;
  });
  afterAll(() => server.dispose());
  beforeEach(async () => {
    for (const lease of await leases(server)) await server.ctl('lease', 'revoke', lease);
    await server.ctl('del', '--prefix', '');
  });

  it('holds what was registered, in the layout of gliderlabs/registrator, and nothing else', async () => {
    const registry = await open(uri);
    await registry.connect(signal);
    await registry.register([service(), service({ container: 'six', name: 'web', address: 'fd00::1' })], signal);
    expect(await server.list()).toEqual(
      new Map([
        ['/services/redis/node1:redis:6379', '10.0.0.1:32768'],
        ['/services/web/node1:six:6379', '[fd00::1]:32768'],
      ]),
    );
    expect(registry.name).toBe(uri);
  });

  it('gives back entries that equal what would be written, custom IDs and hostile names included', async () => {
    const registry = await open(uri);
    const services = [
      service(),
      service({ id: 'custom' }),
      service({ id: '../../x', name: '/etc/passwd' }),
      service({ id: '', name: '..' }),
      service({ id: '\n\0é', name: '_hidden' }),
    ];
    await registry.register(services, signal);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    const outside = [...(await server.list()).keys()].filter((key) => !/^\/services\/[^/]+\/[^/]+$/.test(key));
    expect(outside.every((key) => /^\/_registrator\/[^/]+$/.test(key))).toBe(true);
    await registry.deregister(await registry.registered(signal), signal);
    expect(await server.list()).toEqual(new Map());
    await registry.deregister([registry.entry(service())], signal);
  });

  it('knows its own from an operator’s and another host’s, with or without a prefix', async () => {
    await server.ctl('put', '/services/redis/node2:redis:6379', '10.0.0.2:1');
    await server.ctl('put', '/services/redis/handmade', '10.0.0.3:1');
    await server.ctl('put', '/services/redis/node1:old:6379', '10.0.0.4:1');
    const registry = await open(uri);
    expect((await registry.registered(signal)).map(({ id, content }) => [id, content])).toEqual([
      ['node1:old:6379', '10.0.0.4:1'],
    ]);
    const bare = await open(`etcd://${server.address}`);
    expect(await bare.registered(signal)).toEqual([]);
    await bare.register([service(), service({ id: 'x' })], signal);
    expect([...(await server.list('/redis')).keys()]).toEqual(['/redis/node1:redis:6379', '/redis/x']);
    expect((await bare.registered(signal)).map(({ id }) => id)).toEqual(['node1:redis:6379', 'x']);
  });

  it('cleans up after a host that was renamed, and one whose engine was installed anew', async () => {
    await (await open(uri)).register([service({ id: 'custom' })], signal);
    for (const owner of [
      { host: 'renamed', engine: 'ENGINE-1', addresses: () => new Set(['10.0.0.1']) },
      { host: 'node1', engine: 'REINSTALLED' },
    ]) {
      const registry = await open(uri, { owner });
      expect((await registry.registered(signal)).map(({ id }) => id)).toEqual(['custom']);
    }
    const cloned = await open(uri, { owner: { host: 'cloned', engine: 'ENGINE-1' } });
    expect(await cloned.registered(signal)).toEqual([]);
    expect([...(cloned.others?.().twins ?? [])]).toEqual([['node1', 1]]);
    const addresses = () => new Set(['10.0.0.1']);
    const registry = await open(uri, { owner: { host: 'renamed', engine: 'ENGINE-1', addresses } });
    await registry.deregister(await registry.registered(signal), signal);
    expect(await server.list()).toEqual(new Map());
  });

  it('leaves a custom ID to the host that has it, until that one lets go', async () => {
    const one = await open(uri);
    const two = await open(uri, { owner: node2 });
    const custom = service({ id: 'custom' });
    await one.register([custom], signal);
    const attempt = two.register([{ ...custom, address: '10.0.0.2' }, instance(1)], signal);
    const failures = await failuresOf(attempt);
    expect([...failures.keys()]).toEqual(['/services/redis/custom']);
    expect(failures.get('/services/redis/custom')).toBeInstanceOf(RefusedError);
    expect(failures.get('/services/redis/custom')?.message).toContain('host "node1"');
    const removal = await failuresOf(two.deregister([two.entry(custom)], signal));
    expect(removal.get('/services/redis/custom')).toBeInstanceOf(ConflictError);
    expect((await server.list('/services/')).get('/services/redis/custom')).toBe('10.0.0.1:32768');

    await one.deregister([one.entry(custom)], signal);
    await two.register([{ ...custom, address: '10.0.0.2' }], signal);
    // The first host does not know yet.
    await failuresOf(one.deregister([one.entry(custom)], signal));
    expect((await server.list('/services/')).get('/services/redis/custom')).toBe('10.0.0.2:32768');
  });

  it('leaves alone what another host’s own ID is on, also to a container here that asks for it', async () => {
    const two = await open(uri, { owner: node2 });
    const theirs = service({ host: 'node2' });
    await two.register([theirs], signal);
    const one = await open(uri);
    const failures = await failuresOf(one.register([{ ...theirs, address: '10.6.6.6' }, instance(1)], signal));
    expect([...failures.keys()]).toEqual(['/services/redis/node2:redis:6379']);
    expect((await failuresOf(one.deregister([one.entry(theirs)], signal))).size).toBe(1);
    expect(await server.list('/services/')).toEqual(
      new Map([
        ['/services/redis/node1:c1:6379', '10.0.0.1:10001'],
        ['/services/redis/node2:redis:6379', '10.0.0.1:32768'],
      ]),
    );
  });

  it('takes over a claim whose entry is gone', async () => {
    const custom = service({ id: 'custom' });
    await (await open(uri)).register([custom], signal);
    await server.ctl('del', '/services/redis/custom');
    const two = await open(uri, { owner: node2 });
    await two.register([custom], signal);
    expect((await two.registered(signal)).map(({ id }) => id)).toEqual(['custom']);
  });

  it('shows a claim whose entry is gone, so that it is written anew or removed', async () => {
    const registry = await open(uri);
    await registry.register([service({ id: 'custom' })], signal);
    await server.ctl('del', '/services/redis/custom');
    const gone = await registry.registered(signal);
    expect(gone).toMatchObject([{ key: '/services/redis/custom', id: 'custom', content: 'gone' }]);
    await registry.deregister(gone, signal);
    expect(await server.list()).toEqual(new Map());
  });

  it('takes 1,000 services in 8 transactions, in 16 where their IDs are their own, and reads without writing', async () => {
    const registry = await open(uri, { ttl: 60 });
    const plain = instances(1_000);
    const before = await server.revision();
    await registerAll(registry, plain);
    expect((await server.revision()) - before).toBe(8);
    const custom = Array.from({ length: 1_000 }, (_, n) => instance(n, { id: `custom-${n}` }));
    await registerAll(registry, custom);
    expect((await server.revision()) - before).toBe(24);
    expect((await leases(server)).length).toBe(1);

    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, [...plain, ...custom]));
    await registry.refresh?.([...plain, ...custom], signal);
    expect((await server.revision()) - before).toBe(24);

    for (let at = 0; at < 1_000; at += 100) {
      const part = [...plain.slice(at, at + 100), ...custom.slice(at, at + 100)];
      await registry.deregister(
        part.map((one) => registry.entry(one)),
        signal,
      );
    }
    expect(await server.list()).toEqual(new Map());
  });

  it('stays whole through 2,500 keys of others, read page by page', async () => {
    const registry = await open(uri);
    const other = await open(uri, { owner: node2 });
    await registerAll(
      other,
      Array.from({ length: 2_500 }, (_, n) => service({ container: `x${n}`, host: 'node2' })),
    );
    await registry.register([service(), service({ name: 'a' }), service({ name: 'z' })], signal);
    expect((await registry.registered(signal)).length).toBe(3);
    expect((await other.registered(signal)).length).toBe(2_500);
  });

  describe('with a TTL', () => {
    it('keeps what is registered as long as it lives, without a gap, though nobody refreshes', async () => {
      const registry = await open(uri, { ttl: 2 });
      await registry.register([service(), service({ id: 'custom' })], signal);
      await holds(async () => expect((await server.list()).size).toBe(3), 6_000, 200);
      await registry.close();
      await eventuallyPasses(async () => expect(await server.list()).toEqual(new Map()));
    });

    it('takes over what a killed process left, on its own lease, in one transaction', async () => {
      const services = [...instances(50), instance(1, { id: 'custom' })];
      const killed = await open(uri, { ttl: 3 });
      await killed.register(services, signal);
      await killed.close();

      const registry = await open(uri, { ttl: 3 });
      const found = byKey(await registry.registered(signal));
      expect([...found.keys()].sort()).toEqual([...entriesOf(registry, services).keys()].sort());
      const wrong = services.filter(
        (one) => found.get(registry.entry(one).key)?.content !== registry.entry(one).content,
      );
      expect(wrong.length).toBe(51);
      const before = await server.revision();
      await registry.register(wrong, signal);
      expect((await server.revision()) - before).toBe(1);
      await holds(async () => expect((await server.list()).size).toBe(52), 5_000, 200);
      expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    });

    it('writes everything anew within one refresh when the lease is gone, and says so', async () => {
      const registry = await open(uri, { ttl: 30 });
      const services = [...instances(150), instance(1, { id: 'custom' })];
      await registerAll(registry, services);
      const lost = registry.lost?.(signal);
      const [lease = ''] = await leases(server);
      await server.ctl('lease', 'revoke', lease);
      expect(await server.list()).toEqual(new Map());
      await registry.refresh?.(services, signal);
      expect((await server.list()).size).toBe(152);
      expect((await leases(server)).length).toBe(1);
      expect(await lost).toBe('the etcd lease expired');
      expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    });

    it('notices without any call that the lease is gone', async () => {
      const registry = await open(uri, { ttl: 2 });
      await registry.register([service()], signal);
      const lost = registry.lost?.(signal);
      const [lease = ''] = await leases(server);
      await server.ctl('lease', 'revoke', lease);
      expect(await lost).toBe('the etcd lease expired');
      expect(await registry.registered(signal)).toEqual([]);
    });

    it('registers on a new lease when the lease is gone', async () => {
      const registry = await open(uri, { ttl: 30 });
      await registry.register([service()], signal);
      const [lease = ''] = await leases(server);
      await server.ctl('lease', 'revoke', lease);
      await registry.register([instance(1)], signal);
      expect([...(await server.list()).keys()]).toEqual(['/services/redis/node1:c1:6379']);
    });

    it('frees from its lease what shall stay', async () => {
      await (await open(uri, { ttl: 30 })).register([service()], signal);
      const staying = await open(uri);
      const [entry] = await staying.registered(signal);
      expect(entry?.content).not.toBe(staying.entry(service()).content);
      await staying.register([service()], signal);
      expect(await staying.registered(signal)).toEqual([staying.entry(service())]);
    });
  });

  it('one key that etcd refuses harms none of its batch', async () => {
    const registry = await open(uri);
    const services = instances(60);
    services[30] = instance(30, { address: 'x'.repeat(2_000_000) });
    const failures = await failuresOf(registry.register(services, signal));
    expect([...failures.keys()]).toEqual(['/services/redis/node1:c30:6379']);
    expect(failures.get('/services/redis/node1:c30:6379')).toBeInstanceOf(RefusedError);
    expect((await server.list()).size).toBe(59);
  });

  it('ends at once when it is told to', async () => {
    server.pause();
    onTestFinished(() => server.resume());
    const registry = await open(uri, { ttl: 30 });
    const stop = new AbortController();
    const calls = [registry.connect(stop.signal), registry.register([service()], stop.signal)];
    const lost = registry.lost?.(stop.signal);
    setTimeout(() => stop.abort(new Error('stop')), 100);
    for (const call of [...calls, lost]) await expect(call).rejects.toThrow('stop');
  });
});

describe('an etcd server that', () => {
  it('lost its data is noticed, and takes everything again', async () => {
    const server = await freshServer();
    const registry = await open(`etcd://${server.address}/services`, { ttl: 60 });
    const services = [...instances(20), instance(1, { id: 'custom' })];
    await registry.register(services, signal);
    const lost = registry.lost?.(signal);
    await server.restart({ emptyData: true });
    expect(await lost).toBe('the server closed the connection');
    expect(await registry.registered(signal)).toEqual([]);
    await registry.register(services, signal);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
  });

  it('is away, or no etcd, is named with what to do', async () => {
    const server = await freshServer();
    const uri = `etcd://${server.address}/services`;
    await server.stop();
    await expect((await open(uri)).connect(signal)).rejects.toThrow(`etcd does not answer at ${server.address} (`);
    const peer = server.peerUrl.replace('http://', '');
    await server.start();
    await expect((await open(`etcd://${peer}/services`)).connect(signal)).rejects.toThrow('speaks no etcd v3 JSON');
  });

  it('wants a client certificate gets it', async () => {
    await using tls = await makeCertificates();
    const server = await freshServer({ tls });
    const env = { ETCD_CACERT: tls.ca, ETCD_CERT: tls.clientCert, ETCD_KEY: tls.clientKey };
    const registry = await open(`etcd+tls://${server.address}/services`, { env, ttl: 60 });
    await registry.connect(signal);
    await registry.register([service()], signal);
    expect([...(await server.list()).keys()]).toEqual(['/services/redis/node1:redis:6379']);
    const uncertified = await open(`etcd+tls://${server.address}/services`, { env: { ETCD_CACERT: tls.ca } });
    await expect(uncertified.connect(signal)).rejects.toThrow('etcd does not answer at');
    const untrusting = await open(`etcd+tls://${server.address}/services`);
    await expect(untrusting.connect(signal)).rejects.toThrow(/etcd does not answer at .*certificate/);
  });
});

describe('with users, etcd', () => {
  const user = { name: 'registrator', password: 'secret', prefix: '/services/' };
  const env = { ETCD_USERNAME: 'registrator', ETCD_PASSWORD: 'secret' };

  it('lets us in with user and password, and says what to do without', async () => {
    const server = await freshServer();
    await server.enableAuth('root', user);
    const uri = `etcd://${server.address}/services`;
    await expect((await open(uri)).connect(signal)).rejects.toThrow('set ETCD_USERNAME');
    await expect((await open(uri, { env: { ...env, ETCD_PASSWORD: 'wrong' } })).connect(signal)).rejects.toThrow(
      'etcd refuses the user "registrator"',
    );
    const elsewhere = await open(`etcd://${server.address}/elsewhere`, { env });
    await expect(elsewhere.connect(signal)).rejects.toThrow('may not read below /elsewhere/');

    const registry = await open(uri, { env, ttl: 60 });
    await registry.connect(signal);
    await registry.register([service()], signal);
    // The claims' folder is not the user's: everything works but to know a custom ID after a restart.
    await registry.register([instance(1), instance(2, { id: 'custom' })], signal);
    expect([...(await server.list()).keys()].sort()).toEqual([
      '/services/redis/custom',
      '/services/redis/node1:c1:6379',
      '/services/redis/node1:redis:6379',
    ]);
    expect((await registry.registered(signal)).length).toBe(3);
    await registry.deregister(await registry.registered(signal), signal);
    expect(await server.list()).toEqual(new Map());
  });

  it('a key that the user may not write harms none of its batch', async () => {
    const server = await freshServer();
    await server.enableAuth('root', { ...user, prefix: '/services/redis/' });
    const registry = await open(`etcd://${server.address}/services`, { env });
    const failures = await failuresOf(registry.register([...instances(50), instance(1, { name: 'web' })], signal));
    expect([...failures.keys()]).toEqual(['/services/web/node1:c1:6379']);
    expect(failures.get('/services/web/node1:c1:6379')?.message).toBe(
      "etcd says «etcdserver: permission denied»: grant the etcd user's role readwrite on /services/web/node1:c1:6379.",
    );
    expect((await server.list()).size).toBe(50);
  });

  it('gives a new token when the old one has expired, also to many calls at once', async () => {
    const server = await freshServer({ authTokenTtl: 1 });
    await server.enableAuth('root', user);
    const registry = await open(`etcd://${server.address}/services`, { env });
    await registry.register([service()], signal);
    await eventually(() => server.log().includes('deleted a simple token'), { deadlineMs: 15_000 });
    await Promise.all(instances(40).map((one) => registry.register([one], signal)));
    expect((await registry.registered(signal)).length).toBe(41);
    // What is in memory only is gone with the process.
    await server.restart();
    await Promise.all(instances(40).map((one) => registry.register([one], signal)));
    expect((await registry.registered(signal)).length).toBe(41);
  });

  it('is served while users are turned on', async () => {
    const server = await freshServer();
    const registry = await open(`etcd://${server.address}/services`, { env });
    await registry.register([service()], signal);
    await server.enableAuth('root', user);
    await registry.register([instance(1)], signal);
    expect((await registry.registered(signal)).length).toBe(2);
  });
});

describe('a cluster of three', () => {
  it('one of them killed under load, loses no call', async () => {
    const cluster = new EtcdCluster();
    onTestFinished(() => cluster.dispose());
    await cluster.start();
    const registry = await open(`etcd://${cluster.address}/services`, { ttl: 20 });
    await registry.connect(signal);
    const services = Array.from({ length: 400 }, (_, n) => instance(n, n % 4 === 0 ? { id: `custom-${n}` } : {}));
    let done = 0;
    const killed: Promise<void>[] = [];
    await pMap(
      services,
      async (one) => {
        await registry.register([one], signal);
        if (++done === 100) killed.push(cluster.members[0]?.kill9() ?? Promise.resolve());
        if (done % 50 === 0) await registry.refresh?.(services.slice(0, 1), signal);
      },
      { concurrency: 8 },
    );
    await Promise.all(killed);
    expect(cluster.members[0]?.running).toBe(false);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    expect((await cluster.members[1]?.list('/services/'))?.size).toBe(400);
  });

  it('the leader of them paused, is served by the others', async () => {
    const cluster = new EtcdCluster();
    onTestFinished(() => cluster.dispose());
    await cluster.start();
    const registry = await open(`etcd://${cluster.address}/services`);
    const statuses = await Promise.all(
      cluster.members.map(async (member) => {
        const [status] = JSON.parse(await member.ctl('endpoint', 'status', '-w', 'json'));
        return status.Status.header.member_id === status.Status.leader;
      }),
    );
    const leader = cluster.members[statuses.indexOf(true)];
    leader?.pause();
    onTestFinished(() => leader?.resume());
    await registry.register([service()], signal);
    await registry.register(instances(50), signal);
    expect((await registry.registered(signal)).length).toBe(51);
  });
});
