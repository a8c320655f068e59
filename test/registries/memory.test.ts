import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Registry, UnusableError } from '../../src/registries/index.ts';
import { memory, parseMemoryUri } from '../../src/registries/memory.ts';
import { digShort } from '../support/dig.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

const signal = new AbortController().signal;
const CONTEXT = { owner: { host: 'node1', engine: 'E' }, hostAddress: '10.0.0.9', log: pino({ level: 'silent' }) };

const open: Registry[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((registry) => registry.close()));
});

async function create(uri: string): Promise<Registry> {
  const registry = await memory(uri, CONTEXT);
  open.push(registry);
  return registry;
}

describe('the URI', () => {
  test.each([
    ['memory:', '127.0.0.1', 8500, 8600],
    ['memory://', '127.0.0.1', 8500, 8600],
    ['memory:///', '127.0.0.1', 8500, 8600],
    ['MEMORY://:8501', '127.0.0.1', 8501, 8600],
    ['memory://0.0.0.0', '0.0.0.0', 8500, 8600],
    ['memory://localhost:1', '127.0.0.1', 1, 8600],
    ['memory://127.0.0.1:8501?dns=8601', '127.0.0.1', 8501, 8601],
    ['memory://?dns=53', '127.0.0.1', 8500, 53],
    ['memory://:0?dns=0', '127.0.0.1', 0, 0],
    ['memory://?dns=off', '127.0.0.1', 8500, undefined],
    ['memory://[::1]:8501', '::1', 8501, 8600],
    ['memory://[::]', '::', 8500, 8600],
  ])('%s listens on %s, port %s and DNS port %s', (uri, host, httpPort, dnsPort) => {
    expect(parseMemoryUri(uri)).toEqual({ host, httpPort, ...(dnsPort === undefined ? {} : { dnsPort }) });
  });

  test.each([
    ['memory://:x', 'is no host:port with a port up to 65535; an IPv6 address stands in brackets'],
    ['memory://:65536', 'is no host:port with a port up to 65535; an IPv6 address stands in brackets'],
    ['memory://127.0.0.1:', 'is no host:port with a port up to 65535; an IPv6 address stands in brackets'],
    ['memory://?dns=', 'dns in the memory:// URI must be a number from 1 to 65535, or off.'],
    ['memory://?dns=99999', 'dns in the memory:// URI must be a number from 1 to 65535, or off.'],
    ['memory://?dns=1&dns=2', 'The memory:// URI has more than one dns parameter.'],
    ['memory://?http=1', 'The memory:// URI has an unknown parameter "http": there is only dns.'],
    ['memory://127.0.0.1/path', 'A memory:// URI has no path: write memory://[address][:port][?dns=port].'],
    ['memory://::1', 'an IPv6 address stands in brackets'],
    ['memory://[1.2.3.4]', 'is no host:port with a port up to 65535; an IPv6 address stands in brackets'],
    ['memory://user@host', 'is no host:port with a port up to 65535; an IPv6 address stands in brackets'],
    ['memory://#x', 'A memory:// URI is memory://[address][:port][?dns=port], and nothing else.'],
  ])('%s is refused', (uri, message) => {
    expect(() => parseMemoryUri(uri)).toThrow(message);
  });

  test('any text is an address or is refused with an Error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const { httpPort } = parseMemoryUri(`memory:${text}`);
          expect(httpPort).toBeLessThanOrEqual(65_535);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          expect((error as Error).message).toMatch(/^[A-Zd].*\.$/);
        }
      }),
    );
  });
});

test('from register to deregister: the catalogue answers by HTTP and DNS', async () => {
  const [http, dns] = [await freePort(), await freePort()];
  const registry = await create(`memory://:${http}?dns=${dns}`);
  expect(registry.name).toBe(`memory://127.0.0.1:${http}`);
  await Promise.all([registry.connect(signal), registry.connect(signal)]);
  await registry.register([service(), service({ id: 'b', name: 'web', address: '10.0.0.2' })], signal);
  const services = await fetch(`http://127.0.0.1:${http}/v1/catalog/services`);
  expect(await services.json()).toEqual({ redis: [], web: [] });
  expect(await digShort(dns, 'redis.service.consul')).toEqual(['10.0.0.1']);
  expect(await digShort(dns, 'node1.node.consul')).toEqual(['10.0.0.9']);
  await registry.deregister([registry.entry(service())], signal);
  await registry.deregister([registry.entry(service())], signal);
  expect(await digShort(dns, 'redis.service.consul')).toEqual([]);
  expect((await registry.registered(signal)).map(({ id }) => id)).toEqual(['b']);
});

test('what is registered is given back as it would be written', async () => {
  const registry = await create('memory://');
  const one = service({ tags: ['a'], meta: { x: '1', y: '2' }, check: { type: 'tcp', target: '10.0.0.1:1' } });
  await registry.register([one], signal);
  expect(await registry.registered(signal)).toEqual([registry.entry(one)]);
  expect(registry.entry({ ...one, meta: { y: '2', x: '1' } })).toEqual(registry.entry(one));
  for (const other of [{ port: 1 }, { tags: ['b'] }, { meta: {} }, { weight: 2 }, { name: 'x' }]) {
    expect(registry.entry({ ...one, ...other }).content).not.toBe(registry.entry(one).content);
  }
  expect(
    registry.entry(service({ container: 'redis', origin: { ...one.origin, containerId: 'new' } })).content,
  ).not.toBe(registry.entry(service()).content);
});

test("a refresh brings Docker's word on the health", async () => {
  const registry = await create('memory://');
  const check = { type: 'docker', ttl: '60s' } as const;
  await registry.register([service({ check, health: { status: 'warning', output: 'starting' } })], signal);
  const healthy = service({ check, health: { status: 'passing', output: 'ok' } });
  await registry.refresh?.([healthy, service({ id: 'gone' })], signal);
  expect(await registry.registered(signal)).toEqual([registry.entry(healthy)]);
});

test('what was critical for too long stays out, whatever is compared meanwhile, until its container is restarted', async () => {
  const http = await freePort();
  const registry = await create(`memory://:${http}?dns=off`);
  await registry.connect(signal);
  const ids = async () =>
    Object.keys((await (await fetch(`http://127.0.0.1:${http}/v1/agent/services`)).json()) as object);
  const sick = service({ check: { type: 'ttl', ttl: '1h', deregisterAfter: '1m' } });
  const well = service({ id: 'well' });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await registry.register([sick, well], signal);
    vi.advanceTimersByTime(61_000);
  } finally {
    vi.useRealTimers();
  }
  expect(await ids()).toEqual(['well']);
  // The reconciler finds what it wants, and so writes nothing.
  expect(await registry.registered(signal)).toEqual([registry.entry(well), registry.entry(sick)]);

  const restarted = { ...sick, origin: { ...sick.origin, startedAt: 2_000 } };
  expect(registry.entry(restarted).content).not.toBe(registry.entry(sick).content);
  await registry.register([restarted], signal);
  expect(await ids()).toEqual(['node1:redis:6379', 'well']);
});

test('a port that is taken: a sentence that names it, and nothing stays open', async () => {
  const [http, dns, other] = [await freePort(), await freePort(), await freePort()];
  await (await create(`memory://:${http}?dns=${dns}`)).connect(signal);
  const error = await (await create(`memory://:${http}?dns=${other}`))
    .connect(signal)
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UnusableError);
  expect((error as Error).message).toBe(
    `Port ${http} on 127.0.0.1 is taken, perhaps by a Consul agent or another registrator: choose another with memory://127.0.0.1:${http + 1}`,
  );
  const second = await create(`memory://:${other}?dns=${dns}`);
  await expect(second.connect(signal)).rejects.toThrow(
    `Port ${dns} on 127.0.0.1 is taken, perhaps by a Consul agent or another registrator: choose another with memory://127.0.0.1:${other}?dns=${dns + 1}`,
  );
  await expect(fetch(`http://127.0.0.1:${other}/`)).rejects.toThrow();
  await open.shift()?.close();
  await second.connect(signal);
});

test('an address that this host does not have is told of', async () => {
  const registry = await create(`memory://192.0.2.1:${await freePort()}`);
  await expect(registry.connect(signal)).rejects.toThrow('This host has no address 192.0.2.1');
});
