import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalogue, type CatalogueOptions } from '../../src/catalogue/index.ts';
import { formatSnapshot, parseSnapshot } from '../../src/catalogue/snapshot.ts';
import { Store } from '../../src/catalogue/store.ts';
import { DesiredState, Reconciler } from '../../src/reconciler/index.ts';
import { memory } from '../../src/registries/memory.ts';
import { digShort } from '../support/dig.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let folder: string;
let file: string;
let lines: { level: number; msg: string; err?: string }[];
let log: Logger;
const open: Catalogue[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registrator-snapshot-'));
  file = join(folder, 'snapshot.json');
  lines = [];
  log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((catalogue) => catalogue.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function start(over: Partial<CatalogueOptions> = {}): Promise<Catalogue> {
  const catalogue = new Catalogue({ nodeName: 'node1', http: LOOPBACK, dns: LOOPBACK, snapshot: file, log, ...over });
  open.push(catalogue);
  await catalogue.start();
  return catalogue;
}

const warnings = () => lines.filter(({ level }) => level >= 40);

const passing = { type: 'ttl', ttl: '1h', initialStatus: 'critical' } as const;

test('after a restart it answers at once with what it held, health included', async () => {
  const first = await start();
  first.store.put(
    service({ id: 'a', name: 'web', address: '10.0.0.5', check: passing, tags: ['x'], meta: { k: 'v' } }),
  );
  first.store.setCheck('a', 'passing', 'hello');
  first.store.put(service({ id: 'b', name: 'bad', check: passing }));
  await first.stop();

  const next = await start();
  expect(await digShort(next.dnsPort ?? 0, 'web.service.consul')).toEqual(['10.0.0.5']);
  expect(await digShort(next.dnsPort ?? 0, 'bad.service.consul')).toEqual([]);
  const health = await fetch(`http://127.0.0.1:${next.httpPort}/v1/health/service/web?passing`);
  expect(await health.json()).toMatchObject([
    { Service: { ID: 'a', Tags: ['x'], Meta: { k: 'v' } }, Checks: [{}, { Output: 'hello' }] },
  ]);
  expect(next.store.all().map(({ fromSnapshot }) => fromSnapshot)).toEqual([true, true]);
});

test('the file is written soon after a change, for its owner only, and nothing else lies beside it', async () => {
  const { store } = await start();
  store.put(service({ id: 'a' }));
  await eventuallyPasses(async () =>
    expect(parseSnapshot(await readFile(file, 'utf8'), 'node1').services).toHaveLength(1),
  );
  for (let i = 0; i < 50; i++) store.put(service({ id: `b${i}` }));
  await eventuallyPasses(async () =>
    expect(parseSnapshot(await readFile(file, 'utf8'), 'node1').services).toHaveLength(51),
  );
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['snapshot.json']);
});

test('the folder of the file may be lacking: one warning, and the catalogue works', async () => {
  const { store } = await start({ snapshot: join(folder, 'none', 'snapshot.json') });
  store.put(service({ id: 'a' }));
  await eventually(() => warnings().length === 1);
  store.put(service({ id: 'b' }));
  await open[0]?.stop();
  expect(warnings()).toMatchObject([{ msg: expect.stringContaining('cannot be written') }]);
});

test('a link where the new file is prepared is not followed', async () => {
  const other = join(folder, 'other');
  await writeFile(other, 'precious');
  await symlink(other, `${file}.new`);
  const { store } = await start();
  store.put(service());
  await open[0]?.stop();
  expect(await readFile(other, 'utf8')).toBe('precious');
  expect(parseSnapshot(await readFile(file, 'utf8'), 'node1').services).toHaveLength(1);
});

test.each([
  ['nothing', ''],
  ['half of it', '{"registrator":1,"node":"node1","services":[{"service"'],
  ['other JSON', '{"version":7}'],
  ['null', 'null'],
  ['another host', JSON.stringify({ registrator: 1, node: 'node2', services: [] })],
  ['no services', JSON.stringify({ registrator: 1, node: 'node1', services: [{}] })],
  ['a port that is none', snapshotOf({ port: 70_000 })],
  ['a name that is none', snapshotOf({ name: { toString: 'x' } })],
  ['a check that is none', snapshotOf({ check: { type: 'http', url: 'file:///etc/passwd' } })],
  ['a check of __proto__', snapshotOf({ check: { type: '__proto__' } })],
  ['a field too many', snapshotOf({ extra: 1 })],
])('a file with %s is told of once and not used', async (_, content) => {
  await writeFile(file, content);
  const { store } = await start();
  expect(store.size).toBe(0);
  expect(warnings()).toMatchObject([{ msg: expect.stringContaining('cannot be used'), err: expect.any(String) }]);
  store.put(service());
  await open[0]?.stop();
  expect(parseSnapshot(await readFile(file, 'utf8'), 'node1').services).toHaveLength(1);
});

function snapshotOf(over: object): string {
  return JSON.stringify({ registrator: 1, node: 'node1', services: [{ service: { ...service(), ...over } }] });
}

test('a pipe in its place keeps nobody waiting', async () => {
  execFileSync('mkfifo', [file]);
  const { store } = await start();
  expect(store.size).toBe(0);
  expect(warnings()).toHaveLength(1);
});

test('whatever the file holds, it is read or refused with an Error', () => {
  const valid = snapshotOf({});
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc.nat(valid.length).map((at) => valid.slice(0, at)),
      ),
      (text) => {
        try {
          parseSnapshot(text, 'node1');
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      },
    ),
  );
});

test('what was written is read back the same', () => {
  const store = new Store({ name: 'node1', address: '10.0.0.9' });
  const services = [
    service({
      id: 'a',
      check: { type: 'http', url: 'http://x/', method: 'GET', headers: { a: ['b'] }, interval: '1s' },
    }),
    service({
      id: 'b',
      check: { type: 'grpc', target: 'x:1', useTls: true, tlsSkipVerify: true, deregisterAfter: '1m' },
    }),
    service({
      id: 'c',
      check: { type: 'script', args: ['true'] },
      ttl: 30,
      weight: 3,
      enableTagOverride: true,
      drain: true,
      unready: true,
    }),
    service({ id: 'd', check: { type: 'docker', ttl: '1m' }, health: { status: 'warning', output: 'x' } }),
    service({ id: 'e', check: { type: 'tcp', target: 'x:1' }, protocol: 'sctp' }),
    service({
      id: 'f',
      origin: { ...service().origin, networks: ['bridge'], sources: { name: 'label SERVICE_NAME' } },
    }),
  ];
  for (const each of services) store.put(each);
  expect(parseSnapshot(formatSnapshot(store), 'node1').services.map((saved) => saved.service)).toEqual(services);
});

test('what Docker confirms loses its mark and wakes nobody; what it does not is removed once all was looked at', async () => {
  const [http, first] = [await freePort(), await start()];
  const stays = service({ id: 'node1:stays:1', container: 'stays' });
  const gone = service({ id: 'node1:gone:1', container: 'gone' });
  first.store.put(stays);
  first.store.put(gone);
  await first.stop();

  const registry = await memory(`memory://127.0.0.1:${http}?dns=off`, {
    owner: { host: 'node1', engine: 'E' },
    catalogue: { snapshot: file },
    log,
  });
  const desired = new DesiredState();
  const reconciler = new Reconciler(
    registry,
    desired,
    { resyncMs: 0, heartbeatMs: 0, retryAttempts: 0, retryIntervalMs: 10 },
    log,
  );
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  const ids = async () =>
    Object.keys((await (await fetch(`http://127.0.0.1:${http}/v1/agent/services`)).json()) as object);
  await eventuallyPasses(async () => expect(await ids()).toEqual(['node1:gone:1', 'node1:stays:1']));
  const { headers } = await fetch(`http://127.0.0.1:${http}/v1/catalog/service/redis`);
  const index = headers.get('x-consul-index');

  desired.set('stays', [stays]);
  await eventually(async () => {
    const contents = (await registry.registered(stop.signal)).map(({ content }) => content);
    return contents.filter((content) => content === 'from the snapshot').length === 1;
  });
  const after = await fetch(`http://127.0.0.1:${http}/v1/catalog/service/redis`);
  expect(after.headers.get('x-consul-index')).toBe(index);
  expect(await ids()).toHaveLength(2);

  desired.setComplete();
  await eventuallyPasses(async () => expect(await ids()).toEqual(['node1:stays:1']));
  stop.abort();
  await running;
  await registry.close();
  expect(warnings()).toEqual([]);
  expect(parseSnapshot(await readFile(file, 'utf8'), 'node1').services).toHaveLength(1);
});
