import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkGrpc } from '../../src/catalogue/checks/grpc.ts';
import { createRegistry, type Registry } from '../../src/registries/index.ts';
import type { Service } from '../../src/services/index.ts';
import { ConsulServer } from '../support/consul.ts';
import { dig } from '../support/dig.ts';
import { EtcdServer } from '../support/etcd.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

/** The catalogue beside a real Consul that holds the same services: what differs is listed here, and nothing else may. */

const signal = new AbortController().signal;
const consul = new ConsulServer();
const listener = createServer((socket) => socket.destroy());
const registries: Registry[] = [];
let http: number;
let dns: number;

beforeAll(async () => {
  await consul.start();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  [http, dns] = [await freePort(), await freePort()];
  const context = {
    owner: { host: 'consul-test', engine: 'E' },
    hostAddress: '127.0.0.1',
    env: {},
    log: pino({ level: 'silent' }),
  };
  for (const uri of [`memory://:${http}?dns=${dns}`, `consul://${consul.address}`]) {
    const registry = await createRegistry(uri, context);
    registries.push(registry);
    await registry.connect(signal);
    await registry.register(services((listener.address() as AddressInfo).port), signal);
  }
  // Both run the check of "tcp"; Consul spreads the first one over the interval.
  for (const from of [catalogue, real]) {
    await eventuallyPasses(async () => expect(await from('/v1/health/service/tcp?passing')).toHaveLength(1));
  }
});

afterAll(async () => {
  await Promise.all(registries.map((registry) => registry.close()));
  listener.close();
  await consul.dispose();
});

function services(port: number): Service[] {
  return [
    service({ id: 'a', tags: ['master', 'v1.2'], meta: { version: '7' }, weight: 5 }),
    service({ id: 'b', tags: ['slave'], address: '2001:db8::5', port: 1 }),
    service({ id: 'c', check: { type: 'ttl', ttl: '5m' }, address: '10.0.0.3' }),
    service({
      id: 'd',
      name: 'health',
      check: { type: 'docker', ttl: '5m' },
      health: { status: 'warning', output: '' },
      weight: 3,
    }),
    service({ id: 'e', name: 'tcp', check: { type: 'tcp', target: `127.0.0.1:${port}`, interval: '1s' } }),
    service({ id: 'f', name: 'dns', tags: ['udp'], port: 53 }),
    service({ id: 'g', name: 'Mixed-Case' }),
    service({ id: 'h', name: 'alias', address: 'shop.example.com' }),
    service({ id: 'i', name: 'gone', check: { type: 'ttl', ttl: '5m' } }),
    service({ id: 'j/k l', name: 'a/b', address: '10.0.0.4' }),
  ];
}

const real = (path: string) => consul.api('GET', path);
async function catalogue(path: string): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${http}${path}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Numbers and IDs that are each one's own, and what only the Consul side needs. */
const OWN = new Set([
  'CreateIndex',
  'ModifyIndex',
  'ContentHash',
  'registrator-host',
  'registrator-engine',
  'registrator-check',
]);

function comparable(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => comparable(item));
    // Neither gives an order to the tags of a service's name; the Consul server itself is a service there only.
    return key === 'names' ? items.sort() : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name]) => !OWN.has(name))
    .filter(([name, inner]) => !(name === 'consul' && (Array.isArray(inner) || 'Service' in inner)))
    .map(([name, inner]) => [name, name === 'ID' && 'Datacenter' in value ? 'node ID' : comparable(inner, key)]);
  return Object.fromEntries(entries);
}

test.each([
  ['/v1/catalog/services', 'names'],
  ['/v1/catalog/services?node-meta=a:b'],
  ['/v1/catalog/service/redis'],
  ['/v1/catalog/service/REDIS?tag=MASTER'],
  ['/v1/catalog/service/redis?tag=master&tag=slave'],
  ['/v1/catalog/service/mixed-case'],
  ['/v1/catalog/service/alias'],
  ['/v1/catalog/service/a/b'],
  ['/v1/catalog/service/a%2Fb'],
  ['/v1/catalog/service/none'],
  ['/v1/catalog/nodes'],
  ['/v1/catalog/nodes?node-meta=a:b'],
  ['/v1/catalog/node/consul-test'],
  ['/v1/catalog/node/none'],
  ['/v1/catalog/datacenters'],
  ['/v1/catalog/connect/redis'],
  ['/v1/health/service/redis'],
  ['/v1/health/service/redis?passing'],
  ['/v1/health/service/redis?passing=false&tag=slave'],
  ['/v1/health/service/health'],
  ['/v1/health/service/health?passing=1'],
  ['/v1/health/service/tcp'],
  ['/v1/health/service/none?passing'],
  ['/v1/health/connect/redis'],
  ['/v1/health/node/consul-test'],
  ['/v1/health/node/none'],
  ['/v1/health/checks/redis'],
  ['/v1/health/checks/none'],
  ['/v1/health/state/any'],
  ['/v1/health/state/critical'],
  ['/v1/health/state/warning'],
  ['/v1/health/state/none'],
  ['/v1/agent/services'],
  ['/v1/agent/service/a'],
  ['/v1/agent/service/j%2Fk%20l'],
  ['/v1/agent/checks'],
  ['/v1/health/service/redis?filter=Service.Meta.version%20%3D%3D%207'],
  ['/v1/health/service/redis?filter=%22slave%22%20in%20Service.Tags'],
  ['/v1/health/service/redis?filter=Checks.Status%20%3D%3D%20critical'],
  ['/v1/health/service/redis?filter=not%20Service.Tags%20is%20empty'],
  ['/v1/catalog/service/redis?filter=ServiceTags%20contains%20master%20and%20ServicePort%20!%3D%201'],
  ['/v1/agent/services?filter=Service%20%3D%3D%20redis'],
])('GET %s is what Consul answers', async (path: string, key?: string) => {
  expect(comparable(await catalogue(path), key)).toEqual(comparable(await real(path), key));
});

test.each([
  '/v1/catalog/services?dc=dc2',
  '/v1/catalog/services?stale&consistent',
  '/v1/catalog/services?index=x',
  '/v1/catalog/services?index=1&wait=x',
  '/v1/catalog/service/',
  '/v1/health/service/redis?passing=x',
  '/v1/agent/service/none',
])('GET %s is refused as Consul refuses it', async (path) => {
  const words = async (of: Promise<unknown>) =>
    of.then(
      () => 'no refusal',
      (error: Error) => error.message.trim(),
    );
  expect(await words(catalogue(path))).toBe(await words(real(path)));
});

test.each([
  'name/redis',
  'name/health',
  'name/dns',
  'name/DNS',
  'name/none',
  'name/redis?format=text',
  'name/none?format=text',
  'name/',
  'id/a',
  'id/c',
  'id/d',
  'id/e',
  'id/none',
  'id/a?format=text',
  'id/c?format=text',
  'id/',
])('GET /v1/agent/health/service/%s has the status and the words of Consul', async (rest) => {
  const of = async (base: string) => {
    const response = await fetch(`${base}/v1/agent/health/service/${rest}`);
    const type = response.headers.get('content-type');
    const text = await response.text();
    const body = type === 'application/json' ? comparable(sorted(JSON.parse(text))) : text.trim();
    return { status: response.status, type: type?.split(';')[0], body };
  };
  expect(await of(`http://127.0.0.1:${http}`)).toEqual(await of(`http://${consul.address}`));
});

/** Instances in the order of their IDs: the agent's is random. */
function sorted(body: unknown): unknown {
  if (!Array.isArray(body)) return body;
  return body.sort((a, b) => (a.Service.ID < b.Service.ID ? -1 : 1));
}

test('a query with the hash that it knows waits, and comes back when the service has changed', async () => {
  for (const base of [`http://127.0.0.1:${http}`, `http://${consul.address}`]) {
    const url = `${base}/v1/agent/service/g`;
    const first = await fetch(url);
    const hash = first.headers.get('x-consul-contenthash');
    expect((await first.json()) as object).toMatchObject({ ContentHash: hash });
    const before = performance.now();
    const same = await fetch(`${url}?hash=${hash}&wait=200ms`);
    expect(performance.now() - before).toBeGreaterThan(150);
    expect(same.headers.get('x-consul-contenthash')).toBe(hash);
    expect((await fetch(`${url}?hash=other&wait=60s`)).status).toBe(200);
  }
});

test('an application reports its TTL check as to Consul', async () => {
  for (const [action, status] of [
    ['pass', 'passing'],
    ['warn', 'warning'],
    ['fail', 'critical'],
  ]) {
    const path = `/v1/agent/check/${action}/service:c?note=hello`;
    for (const base of [`http://127.0.0.1:${http}`, `http://${consul.address}`]) {
      expect((await fetch(base + path, { method: 'PUT' })).status).toBe(200);
    }
    await eventuallyPasses(async () => {
      expect(comparable(await catalogue('/v1/health/checks/redis'))).toEqual(
        comparable(await real('/v1/health/checks/redis')),
      );
    });
    expect(await catalogue('/v1/health/checks/redis')).toMatchObject([{ Status: status, Output: 'hello' }]);
  }
});

test.each([
  ['redis.service.consul', 'A'],
  ['redis.service.consul', 'AAAA'],
  ['redis.service.consul', 'SRV'],
  ['redis.service.consul', 'ANY'],
  ['redis.service.consul', 'MX'],
  ['REDIS.Service.DC1.Consul', 'A'],
  ['master.redis.service.consul', 'A'],
  ['v1.2.redis.service.consul', 'SRV'],
  ['none.redis.service.consul', 'A'],
  ['redis.service.dc2.consul', 'A'],
  ['_redis._tcp.service.consul', 'SRV'],
  ['_redis._slave.service.consul', 'SRV'],
  ['_redis._udp.service.consul', 'SRV'],
  ['_dns._udp.service.dc1.consul', 'SRV'],
  ['health.service.consul', 'SRV'],
  ['gone.service.consul', 'A'],
  ['gone.service.consul', 'SRV'],
  ['none.service.consul', 'A'],
  ['alias.service.consul', 'A'],
  ['alias.service.consul', 'AAAA'],
  ['alias.service.consul', 'SRV'],
  ['mixed-case.service.consul', 'A'],
  ['consul-test.node.consul', 'A'],
  ['Consul-Test.node.dc1.consul', 'A'],
  ['none.node.consul', 'A'],
  ['0a000001.addr.dc1.consul', 'A'],
  ['20010db8000000000000000000000005.addr.consul', 'AAAA'],
  ['consul', 'NS'],
  ['consul', 'SOA'],
  ['foo.consul', 'A'],
  ['foo.query.consul', 'A'],
  ['example.com', 'A'],
  ['1.0.0.127.in-addr.arpa', 'PTR'],
  ['4.0.0.10.in-addr.arpa', 'PTR'],
])('dig %s %s is what Consul answers', async (name, type) => {
  const ask = async (port: number) => {
    const { status, flags, answer, authority, additional } = await dig(port, name, type);
    // Not from us: the node's metadata as TXT beside the addresses, and the name server beside the SOA itself.
    const records = (section: typeof answer) =>
      section
        .filter((record) => record.type !== 'TXT')
        .map((record) => `${record.name} ${record.ttl} ${record.type} ${record.data.replace(/ \d{10} /, ' serial ')}`)
        .sort();
    const beside = type === 'SOA' ? {} : { authority: records(authority), additional: records(additional) };
    return { status, flags, answer: records(answer), ...beside };
  };
  expect(await ask(dns)).toEqual(await ask(consul.dnsPort));
});

test('a gRPC check understands a real server of the health protocol', async () => {
  await using etcd = await new EtcdServer().start();
  expect(await checkGrpc({ type: 'grpc', target: etcd.address, useTls: false }, AbortSignal.timeout(5000))).toEqual({
    status: 'passing',
    output: `gRPC check ${etcd.address}: SERVING`,
  });
});
