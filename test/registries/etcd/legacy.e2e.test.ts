import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../../src/lib/log/index.ts';

import { etcdLegacy } from '../../../src/registries/etcd/legacy.ts';
import { ConflictError, RefusedError, type Registry } from '../../../src/registries/index.ts';
import { EtcdCluster, EtcdServer } from '../../support/etcd.ts';
import { eventually, eventuallyPasses } from '../../support/eventually.ts';
import { service } from '../../support/service.ts';
import { byKey, entriesOf, failuresOf } from '../entries.ts';

const log = await createLogger('silent', 'json');
const { signal } = new AbortController();
const node1 = { host: 'node1', engine: 'ENGINE-1' };
const node2 = { host: 'node2', engine: 'ENGINE-2' };

interface Node {
  readonly key: string;
  readonly value?: string;
  readonly ttl?: number;
  readonly nodes?: readonly Node[];
}

let server: EtcdServer;
let uri: string;
beforeAll(async () => {
  server = await new EtcdServer().start();
  uri = `etcd-legacy://${server.address}/services`;
});
afterAll(() => server.dispose());
beforeEach(async () => {
  for (const key of ['services', '_registrator', 'redis'])
    await fetch(`http://${server.address}/v2/keys/${key}?recursive=true`, { method: 'DELETE' });
});

interface Setting {
  readonly owner?: typeof node1;
  readonly ttl?: number;
  readonly env?: Readonly<Record<string, string>>;
}

async function open(where: string, { owner = node1, ttl, env = {} }: Setting = {}): Promise<Registry> {
  const registry = await etcdLegacy(where, { owner, env, log, ...(ttl === undefined ? {} : { ttl }) });
  onTestFinished(() => registry.close());
  return registry;
}

async function put(key: string, value: string): Promise<void> {
  const url = `http://${server.address}/v2/keys${key}`;
  expect((await fetch(url, { method: 'PUT', body: new URLSearchParams({ value }) })).status).toBeLessThan(300);
}

/** Keys and values below the folder, without those that etcd hides; undefined where there is no such folder. */
async function list(folder: string, { address } = server): Promise<Map<string, string> | undefined> {
  const answer = await fetch(`http://${address}/v2/keys${folder}?recursive=true&quorum=true`);
  if (answer.status === 404) return undefined;
  const { node } = (await answer.json()) as { node: Node };
  const leaves = (one: Node): Node[] => (one.nodes ? one.nodes.flatMap(leaves) : one.value === undefined ? [] : [one]);
  return new Map(leaves(node).map(({ key, value = '' }) => [key, value]));
}

/** How often anything was written. */
async function index({ address } = server): Promise<number> {
  return Number((await fetch(`http://${address}/v2/keys/`)).headers.get('X-Etcd-Index'));
}

describe('etcd v2', () => {
  it('holds what was registered, in the layout of gliderlabs/registrator', async () => {
    const registry = await open(uri);
    await registry.connect(signal);
    await registry.register([service()], signal);
    await registry.register([service({ container: 'six', name: 'web', address: 'fd00::1' })], signal);
    expect(await list('')).toEqual(
      new Map([
        ['/services/redis/node1:redis:6379', '10.0.0.1:32768'],
        ['/services/web/node1:six:6379', '[fd00::1]:32768'],
      ]),
    );
    expect(registry.name).toBe(uri);
  });

  it('gives back entries that equal what would be written, and leaves no folder behind', async () => {
    const registry = await open(uri);
    const services = [
      service(),
      service({ id: 'custom' }),
      service({ id: '../../x', name: '/etc/passwd' }),
      service({ id: '', name: '..' }),
      service({ id: '_\n\0é+ %', name: '_hidden' }),
    ];
    await registry.register(services, signal);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    const before = await index();
    await registry.registered(signal);
    await registry.connect(signal);
    expect(await index()).toBe(before);
    expect((await list('/services'))?.size).toBe(5);
    // Hidden from those who list everything.
    expect((await list(''))?.size).toBe(5);
    expect((await list('/_registrator'))?.size).toBe(4);
    await registry.deregister(await registry.registered(signal), signal);
    expect(await list('/services')).toEqual(new Map());
    expect(await list('/_registrator')).toBeUndefined();
    await registry.deregister([registry.entry(service()), registry.entry(service({ id: 'custom' }))], signal);
  });

  it('works at the root, beside what others keep there', async () => {
    await put('/services/redis/node1:redis:6379', '1.2.3.4:5');
    const registry = await open(`etcd-legacy://${server.address}`);
    await registry.connect(signal);
    await registry.register([service(), service({ id: 'custom' })], signal);
    expect(byKey(await registry.registered(signal))).toEqual(
      entriesOf(registry, [service(), service({ id: 'custom' })]),
    );
    expect((await list('/redis'))?.size).toBe(2);
  });

  it('adopts what gliderlabs/registrator wrote here, and no one else’s', async () => {
    await put('/services/redis/node1:redis:6379', '10.0.0.1:32768');
    await put('/services/redis/node1:old:6379', '10.0.0.1:1');
    await put('/services/redis/node2:redis:6379', '10.0.0.2:1');
    await put('/services/redis/handmade', 'x');
    const registry = await open(uri);
    const found = byKey(await registry.registered(signal));
    expect([...found.keys()].sort()).toEqual(['/services/redis/node1:old:6379', '/services/redis/node1:redis:6379']);
    expect(found.get('/services/redis/node1:redis:6379')).toEqual(registry.entry(service()));
  });

  it('leaves a custom ID to the host that has it, until that one lets go', async () => {
    const one = await open(uri);
    const two = await open(uri, { owner: node2 });
    const custom = service({ id: 'custom' });
    await one.register([custom], signal);
    const failures = await failuresOf(two.register([{ ...custom, address: '10.0.0.2' }], signal));
    expect(failures.get('/services/redis/custom')).toBeInstanceOf(RefusedError);
    expect(failures.get('/services/redis/custom')?.message).toContain('host "node1"');
    const removal = await failuresOf(two.deregister([two.entry(custom)], signal));
    expect(removal.get('/services/redis/custom')).toBeInstanceOf(ConflictError);
    expect((await list('/services'))?.get('/services/redis/custom')).toBe('10.0.0.1:32768');
    await one.deregister([one.entry(custom)], signal);
    await two.register([{ ...custom, address: '10.0.0.2' }], signal);
    // The first host does not know yet.
    await failuresOf(one.deregister([one.entry(custom)], signal));
    expect((await list('/services'))?.get('/services/redis/custom')).toBe('10.0.0.2:32768');
  });

  it('takes over a custom ID that expired with its host, and shows its own that did', async () => {
    const custom = service({ id: 'custom' });
    const dead = await open(uri, { ttl: 1 });
    await dead.register([custom], signal);
    await eventually(async () => (await list('/services'))?.size === 0);
    expect(await dead.registered(signal)).toMatchObject([{ key: '/services/redis/custom', content: 'gone' }]);
    const two = await open(uri, { owner: node2 });
    await two.register([custom], signal);
    expect(await two.registered(signal)).toEqual([two.entry(custom)]);
    expect(await dead.registered(signal)).toEqual([]);
  });

  it('says of a key that cannot be written why, and writes the rest', async () => {
    await put('/services/web', 'a value where the folder would be');
    const registry = await open(uri);
    const failures = await failuresOf(registry.register([service({ name: 'web' }), service()], signal));
    expect([...failures].map(([key, error]) => [key, error.name, error.message])).toEqual([
      ['/services/web/node1:redis:6379', 'RefusedError', 'etcd says «Not a directory» of /services/web.'],
    ]);
    expect((await list('/services/redis'))?.size).toBe(1);
  });
});

describe('etcd v2 with a TTL', () => {
  it('keeps alive what is refreshed without waking watchers, and lets go what is not', async () => {
    const registry = await open(uri, { ttl: 2 });
    const stays = service();
    await registry.register([stays, service({ container: 'goes' })], signal);
    const stop = new AbortController();
    const watch = fetch(
      `http://${server.address}/v2/keys/services/redis/${encodeURIComponent(stays.id)}?wait=true`,
      stop,
    ).then((answer) => answer.text());
    watch.catch(() => undefined);
    // The last of them ends with the registry.
    const beat = setInterval(() => registry.refresh?.([stays], signal).catch(() => undefined), 500);
    try {
      await eventuallyPasses(async () => expect((await list('/services'))?.size).toBe(1));
      expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, [stays]));
      await expect(Promise.race([watch, new Promise((quiet) => setTimeout(quiet, 2_500, 'quiet'))])).resolves.toBe(
        'quiet',
      );
      expect([...((await list('/services')) ?? []).keys()]).toEqual(['/services/redis/node1:redis:6379']);
    } finally {
      clearInterval(beat);
      stop.abort();
    }
  });

  it('writes anew with a refresh what is gone', async () => {
    const registry = await open(uri, { ttl: 30 });
    const services = [service(), service({ id: 'custom' })];
    await registry.register(services, signal);
    await fetch(`http://${server.address}/v2/keys/services?recursive=true`, { method: 'DELETE' });
    await registry.refresh?.(services, signal);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
  });

  it('writes anew what a killed process left, for that may run out before the first heartbeat', async () => {
    await (await open(uri, { ttl: 30 })).register([service()], signal);
    const registry = await open(uri, { ttl: 30 });
    const [entry] = await registry.registered(signal);
    expect(entry?.key).toBe(registry.entry(service()).key);
    expect(entry?.content).not.toBe(registry.entry(service()).content);
    await registry.register([service()], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(service())]);
    const staying = await open(uri);
    await staying.register([service()], signal);
    expect(await staying.registered(signal)).toEqual([staying.entry(service())]);
  });

  it('refreshes 1,000 services in one call', async () => {
    const registry = await open(uri, { ttl: 30 });
    const services = Array.from({ length: 1_000 }, (_, n) => service({ container: `c${n}` }));
    await registry.register(services, signal);
    const before = await index();
    await registry.refresh?.(services, signal);
    expect((await index()) - before).toBe(1_000);
    expect((await registry.registered(signal)).length).toBe(1_000);
  });
});

describe('an etcd v2 server that', () => {
  it('lost its data is noticed', async () => {
    const fresh = new EtcdServer();
    onTestFinished(() => fresh.dispose());
    await fresh.start();
    const registry = await open(`etcd-legacy://${fresh.address}/services`, { ttl: 30 });
    await registry.register([service()], signal);
    const lost = registry.lost?.(signal);
    await fresh.restart({ emptyData: true });
    expect(await lost).toBe('the server closed the connection');
    expect(await registry.registered(signal)).toEqual([]);
    await fresh.stop();
    await expect(registry.connect(signal)).rejects.toThrow(`etcd does not answer at ${fresh.address} (`);
  });

  it('has users, lets us in with user and password, and says what to do without', async () => {
    const fresh = new EtcdServer();
    onTestFinished(() => fresh.dispose());
    await fresh.start();
    const auth = async (path: string, body: object) => {
      const headers = { 'Content-Type': 'application/json' };
      const options = { method: 'PUT', body: JSON.stringify(body), headers };
      expect((await fetch(`http://${fresh.address}/v2/auth${path}`, options)).status).toBeLessThan(300);
    };
    await auth('/users/root', { user: 'root', password: 'secret' });
    await auth('/enable', {});
    const guest = { Authorization: `Basic ${Buffer.from('root:secret').toString('base64')}` };
    await fetch(`http://${fresh.address}/v2/auth/roles/guest`, { method: 'DELETE', headers: guest });
    const where = `etcd-legacy://${fresh.address}/services`;
    await expect((await open(where)).connect(signal)).rejects.toThrow('set ETCD_USERNAME');
    const registry = await open(where, { env: { ETCD_USERNAME: 'root', ETCD_PASSWORD: 'secret' } });
    await registry.connect(signal);
    await registry.register([service()], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(service())]);
  });

  it('is one of three and killed, loses no call', async () => {
    const cluster = new EtcdCluster();
    onTestFinished(() => cluster.dispose());
    await cluster.start();
    const registry = await open(`etcd-legacy://${cluster.address}/services`);
    const services = Array.from({ length: 200 }, (_, n) => service({ container: `c${n}` }));
    const half = registry.register(services.slice(0, 100), signal);
    const [killed, other] = cluster.members;
    await killed?.kill9();
    await half;
    await registry.register(services.slice(100), signal);
    expect(byKey(await registry.registered(signal))).toEqual(entriesOf(registry, services));
    expect((await list('/services', other))?.size).toBe(200);
  });
});
