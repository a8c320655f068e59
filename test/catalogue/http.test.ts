import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Endpoint } from '../../src/catalogue/http/endpoint.ts';
import { ENDPOINTS } from '../../src/catalogue/http/endpoints.ts';
import { answerOf } from '../../src/catalogue/http/read.ts';
import { CatalogueServer } from '../../src/catalogue/http/server.ts';
import { Store } from '../../src/catalogue/index.ts';
import { eventually } from '../support/eventually.ts';
import { service } from '../support/service.ts';

let store: Store;
let server: CatalogueServer;
let reports: [string, string, string][];

beforeEach(async () => {
  store = new Store({ name: 'node1', address: '10.0.0.9' });
  reports = [];
  server = new CatalogueServer(store, {
    host: '127.0.0.1',
    port: 0,
    log: pino({ level: 'silent' }),
    report: (id, status, output) => {
      reports.push([id, status, output]);
      return id === 'service:known';
    },
  });
  await server.listen();
});
afterEach(() => server.close());

async function call(path: string, init: RequestInit = {}) {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    signal: AbortSignal.timeout(4000),
    ...init,
  });
  const text = await response.text();
  const { status, headers } = response;
  return { status, headers, text, index: Number(headers.get('x-consul-index')) };
}

async function get<T = unknown>(path: string): Promise<T> {
  const { status, text, headers } = await call(path);
  expect([path, status, headers.get('content-type')]).toEqual([path, 200, 'application/json']);
  return JSON.parse(text) as T;
}

const NODE_ID = 'ca12f31b-8cbf-8f29-a268-ea64c20a37f3';
const NODE = {
  ID: NODE_ID,
  Node: 'node1',
  Address: '10.0.0.9',
  Datacenter: 'dc1',
  TaggedAddresses: { lan: '10.0.0.9', lan_ipv4: '10.0.0.9', wan: '10.0.0.9', wan_ipv4: '10.0.0.9' },
  Meta: { 'consul-network-segment': '' },
  CreateIndex: 1,
  ModifyIndex: 1,
};
const SERF = {
  Node: 'node1',
  CheckID: 'serfHealth',
  Name: 'Serf Health Status',
  Status: 'passing',
  Notes: '',
  Output: 'Agent alive and reachable',
  ServiceID: '',
  ServiceName: '',
  ServiceTags: [],
  Type: '',
  Definition: {},
  CreateIndex: 1,
  ModifyIndex: 1,
};

test('services are listed with all tags of their instances', async () => {
  store.put(service({ id: 'a', name: 'web', tags: ['x'] }));
  store.put(service({ id: 'b', name: 'web', tags: ['y', 'x'] }));
  store.put(service({ id: 'c', name: 'redis' }));
  expect(await get('/v1/catalog/services')).toEqual({ redis: [], web: ['x', 'y'] });
});

test('an instance has the fields of Consul, with their types', async () => {
  store.put(service({ tags: ['master'], meta: { version: '7' }, weight: 5 }));
  expect(await get('/v1/catalog/service/redis')).toEqual([
    {
      ID: NODE_ID,
      Node: 'node1',
      Address: '10.0.0.9',
      Datacenter: 'dc1',
      TaggedAddresses: NODE.TaggedAddresses,
      NodeMeta: NODE.Meta,
      ServiceKind: '',
      ServiceID: 'node1:redis:6379',
      ServiceName: 'redis',
      ServiceTags: ['master'],
      ServiceAddress: '10.0.0.1',
      ServiceTaggedAddresses: {
        lan_ipv4: { Address: '10.0.0.1', Port: 32768 },
        wan_ipv4: { Address: '10.0.0.1', Port: 32768 },
      },
      ServiceWeights: { Passing: 5, Warning: 1 },
      ServiceMeta: { version: '7' },
      ServicePort: 32768,
      ServiceEnableTagOverride: false,
      ServiceProxy: { MeshGateway: {}, Expose: {} },
      ServiceConnect: {},
      CreateIndex: 2,
      ModifyIndex: 2,
    },
  ]);
  const entry = {
    ID: 'node1:redis:6379',
    Service: 'redis',
    Tags: ['master'],
    Address: '10.0.0.1',
    TaggedAddresses: {
      lan_ipv4: { Address: '10.0.0.1', Port: 32768 },
      wan_ipv4: { Address: '10.0.0.1', Port: 32768 },
    },
    Meta: { version: '7' },
    Port: 32768,
    Weights: { Passing: 5, Warning: 1 },
    EnableTagOverride: false,
  };
  const stored = { ...entry, Proxy: { MeshGateway: {}, Expose: {} }, Connect: {}, CreateIndex: 2, ModifyIndex: 2 };
  expect(await get('/v1/health/service/redis')).toEqual([{ Node: NODE, Service: stored, Checks: [SERF] }]);
  expect(await get('/v1/agent/services')).toEqual({ 'node1:redis:6379': entry });
  expect(await get('/v1/agent/service/node1:redis:6379')).toEqual({
    ...entry,
    ContentHash: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(await get('/v1/catalog/node/node1')).toEqual({ Node: NODE, Services: { 'node1:redis:6379': stored } });
  expect(await get('/v1/catalog/node-services/node1')).toEqual({ Node: NODE, Services: [stored] });
});

test('a check has the fields of Consul', async () => {
  store.put(service({ tags: ['a'], check: { type: 'http', url: 'http://10.0.0.1/' } }));
  store.setCheck('node1:redis:6379', 'passing', '200 OK');
  const check = {
    Node: 'node1',
    CheckID: 'service:node1:redis:6379',
    Name: "Service 'redis' check",
    Status: 'passing',
    Notes: '',
    Output: '200 OK',
    ServiceID: 'node1:redis:6379',
    ServiceName: 'redis',
    ServiceTags: ['a'],
    Type: 'http',
    Definition: {},
    CreateIndex: 2,
    ModifyIndex: 3,
  };
  expect(await get('/v1/health/checks/redis')).toEqual([check]);
  expect(await get('/v1/health/node/node1')).toEqual([SERF, check]);
  expect(await get('/v1/health/state/passing')).toEqual([SERF, check]);
  expect(await get('/v1/health/state/any')).toEqual([SERF, check]);
  expect(await get('/v1/health/state/critical')).toEqual([]);
  expect(await get('/v1/agent/checks')).toEqual({
    'service:node1:redis:6379': { ...check, CreateIndex: 0, ModifyIndex: 0 },
  });
});

test('the node, the datacenter, the leader and the agent itself', async () => {
  expect(await get('/v1/catalog/nodes')).toEqual([NODE]);
  expect(await get('/v1/catalog/datacenters')).toEqual(['dc1']);
  expect(await get('/v1/status/leader')).toBe('10.0.0.9:8300');
  expect(await get('/v1/status/peers')).toEqual(['10.0.0.9:8300']);
  expect(await get('/v1/agent/self')).toMatchObject({
    Config: { Datacenter: 'dc1', NodeName: 'node1', NodeID: NODE_ID, Server: true, Version: '1.8.7' },
    Member: { Name: 'node1', Addr: '10.0.0.9', Status: 1 },
  });
  expect(await get('/v1/agent/members')).toMatchObject([{ Name: 'node1', Tags: { dc: 'dc1', role: 'consul' } }]);
});

test('what is not there is an empty answer, as Consul gives it', async () => {
  expect(await get('/v1/catalog/service/none')).toEqual([]);
  expect(await get('/v1/health/service/none?passing')).toEqual([]);
  expect(await get('/v1/health/checks/none')).toEqual([]);
  expect(await get('/v1/health/node/none')).toEqual([]);
  expect(await get('/v1/catalog/node/none')).toBeNull();
  expect(await get('/v1/catalog/connect/redis')).toEqual([]);
  expect(await call('/v1/agent/service/none')).toMatchObject({ status: 404, text: 'unknown service ID: none' });
});

test('?passing leaves out what is critical or warning, and takes Go booleans', async () => {
  store.put(service({ id: 'a', check: { type: 'ttl', ttl: '10s', initialStatus: 'passing' } }));
  store.put(service({ id: 'b', check: { type: 'ttl', ttl: '10s', initialStatus: 'warning' } }));
  store.put(service({ id: 'c', check: { type: 'ttl', ttl: '10s' } }));
  const ids = async (query: string) =>
    (await get<{ Service: { ID: string } }[]>(`/v1/health/service/redis${query}`)).map(({ Service }) => Service.ID);
  expect(await ids('?passing')).toEqual(['a']);
  expect(await ids('?passing=1')).toEqual(['a']);
  expect(await ids('?passing=true')).toEqual(['a']);
  expect(await ids('?passing=false')).toEqual(['a', 'b', 'c']);
  expect(await ids('')).toEqual(['a', 'b', 'c']);
  expect(await call('/v1/health/service/redis?passing=zzz')).toMatchObject({
    status: 400,
    text: 'Invalid value for ?passing',
  });
});

test('?tag keeps the instances that have all tags given', async () => {
  store.put(service({ id: 'a', tags: ['Master', 'eu'] }));
  store.put(service({ id: 'b', tags: ['master'] }));
  for (const endpoint of ['catalog', 'health']) {
    expect(await get(`/v1/${endpoint}/service/redis?tag=master`)).toHaveLength(2);
    expect(await get(`/v1/${endpoint}/service/redis?tag=master&tag=eu`)).toHaveLength(1);
    expect(await get(`/v1/${endpoint}/service/redis?tag=none`)).toEqual([]);
  }
});

test('names and IDs with slashes and other characters are found', async () => {
  store.put(service({ id: 'a/b c%', name: 'team/web é' }));
  expect(await get('/v1/catalog/service/team/web%20%C3%A9')).toHaveLength(1);
  expect(await get('/v1/catalog/service/team%2Fweb%20%C3%A9')).toHaveLength(1);
  expect(await get('/v1/agent/service/a%2Fb%20c%25')).toMatchObject({ ID: 'a/b c%' });
});

test('a service named __proto__ is a service like any other', async () => {
  store.put(service({ id: '__proto__', name: '__proto__', tags: ['x'] }));
  expect((await call('/v1/catalog/services')).text).toBe('{"__proto__":["x"]}');
  expect((await call('/v1/agent/services')).text).toMatch(/^\{"__proto__":\{"ID":"__proto__"/);
  expect(await get('/v1/catalog/service/__proto__')).toHaveLength(1);
});

test('?pretty indents, and ?near, ?stale, ?consistent and ?ns are taken', async () => {
  expect((await call('/v1/catalog/datacenters?pretty')).text).toBe('[\n    "dc1"\n]\n');
  for (const query of ['near=_agent', 'stale', 'consistent', 'ns=default', 'dc=dc1', 'dc=', 'cached']) {
    expect(await get(`/v1/catalog/services?${query}`)).toEqual({});
  }
});

test('?node-meta keeps nothing, since the node has none', async () => {
  store.put(service());
  expect(await get('/v1/catalog/services?node-meta=a:b')).toEqual({});
  expect(await get('/v1/catalog/nodes?node-meta=a:b')).toEqual([]);
  expect(await get('/v1/health/service/redis?node-meta=a:b')).toEqual([]);
});

test.each([
  ['/v1/catalog/services?dc=dc2', 500, 'No path to datacenter'],
  ['/v1/catalog/services?stale&consistent', 400, 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
  ['/v1/catalog/services?index=abc', 400, 'Invalid index'],
  ['/v1/catalog/services?index=1&wait=soon', 400, 'Invalid wait time'],
  ['/v1/catalog/service/', 400, 'Missing service name'],
  [
    '/v1/catalog/services?ns=x',
    400,
    'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
  ],
  [
    '/v1/catalog/services?partition=x',
    400,
    'Bad request: Invalid query parameter: "partition" - Partitions are a Consul Enterprise feature',
  ],
  ['/v1/health/service/redis?filter=a%20b', 400, 'The filter is wrong at "b" (character 3).'],
])('%s is refused in words', async (path, status, text) => {
  expect(await call(path)).toMatchObject({ status, text });
});

test.each(['/v1/nope', '/v2/catalog/services', '/v1'])('%s is not there, and a sentence says so', async (path) => {
  const { status, text, headers } = await call(path);
  expect(status).toBe(404);
  expect(text).toBe(`There is no ${path} here: registrator's embedded catalogue has Consul's read API only.`);
  expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
});

test.each([
  ['PUT', '/v1/agent/service/register'],
  ['PUT', '/v1/catalog/register'],
  ['DELETE', '/v1/kv/a'],
  ['POST', '/v1/catalog/services'],
])('%s %s is refused, since the catalogue is read-only', async (method, path) => {
  const { status, text } = await call(path, { method, body: '{"Name":"x"}' });
  expect(status).toBe(405);
  expect(text).toContain('read-only');
});

test('the key-value store is an empty one: a client that waits for a key waits', async () => {
  for (const path of ['/v1/kv/a/b', '/v1/kv/a?raw', '/v1/kv/a?recurse', '/v1/kv/a?keys', '/v1/kv/?recurse']) {
    const { status, text, index, headers } = await call(path);
    expect([path, status, text, index]).toEqual([path, 404, '', 1]);
    expect([headers.get('x-consul-knownleader'), headers.get('x-consul-lastcontact')]).toEqual(['true', '0']);
  }
  expect(await get('/v1/kv/?keys')).toEqual([]);
  expect(await call('/v1/kv/')).toMatchObject({ status: 400, text: 'Missing key name' });
  const before = performance.now();
  store.put(service());
  expect((await call('/v1/kv/a?index=1&wait=200ms')).index).toBe(1);
  expect(performance.now() - before).toBeGreaterThan(190);
  // The index of an earlier life is answered at once.
  expect((await call('/v1/kv/a?index=77&wait=60s')).index).toBe(1);
});

test.each([
  ['stale', 'stale'],
  ['consistent', 'consistent'],
  ['near=_agent&merge-central-config', 'leader'],
])('?%s is told of in the headers that newer clients read', async (query, consistency) => {
  const { headers } = await call(`/v1/health/service/redis?${query}&cached`);
  expect(headers.get('x-consul-effective-consistency')).toBe(consistency);
  expect(headers.get('x-consul-query-backend')).toBe('blocking-query');
  expect(headers.get('x-cache')).toBe('MISS');
});

test.each([
  ['/v1/catalog/service', '/v1/catalog/service/'],
  ['/v1/health/service?tag=a', '/v1/health/service/?tag=a'],
  ['/v1/kv', '/v1/kv/'],
  ['/v1//catalog/services', '/v1/catalog/services'],
  ['//evil.example/v1', '/evil.example/v1'],
])('%s is sent on to %s', async (path, to) => {
  const { status, headers } = await call(path, { redirect: 'manual' });
  expect([status, headers.get('location')]).toEqual([301, to]);
});

test('applications report their TTL checks', async () => {
  const put = (path: string, body?: string) =>
    call(`/v1/agent/check/${path}`, { method: 'PUT', ...(body ? { body } : {}) });
  expect(await put('pass/service:known?note=fine')).toMatchObject({ status: 200, text: '' });
  expect((await put('warn/service:known')).status).toBe(200);
  expect((await put('fail/service:known')).status).toBe(200);
  expect((await put('update/service:known', '{"Status":"passing","Output":"yo"}')).status).toBe(200);
  expect(reports).toEqual([
    ['service:known', 'passing', 'fine'],
    ['service:known', 'warning', ''],
    ['service:known', 'critical', ''],
    ['service:known', 'passing', 'yo'],
  ]);
  expect(await put('pass/service:other')).toMatchObject({
    status: 500,
    text: 'CheckID "service:other" does not have associated TTL',
  });
  expect(await put('update/service:known', '{"Status":"bogus"}')).toMatchObject({
    status: 400,
    text: "Invalid check status: 'bogus'",
  });
  for (const body of ['{bad', 'null', '[]', '3']) expect((await put('update/service:known', body)).status).toBe(400);
  expect((await call('/v1/agent/check/pass/service:known')).status).toBe(404);
});

test('the answers carry the index that a blocking query waits for', async () => {
  store.put(service());
  const { headers } = await call('/v1/health/service/redis');
  expect(headers.get('x-consul-index')).toBe('2');
  expect(headers.get('x-consul-knownleader')).toBe('true');
  expect(headers.get('x-consul-lastcontact')).toBe('0');
  expect((await call('/v1/agent/services')).headers.has('x-consul-index')).toBe(false);
});

test('a blocking query is answered when its service changes, and not before', async () => {
  store.put(service());
  let answered = false;
  const waiting = call('/v1/health/service/redis?index=2&wait=10s').then((answer) => {
    answered = true;
    return answer;
  });
  await call('/v1/catalog/services');
  store.put(service({ id: 'other', name: 'other' }));
  await call('/v1/catalog/services');
  expect(answered).toBe(false);
  store.put(service({ id: 'second' }));
  const { text, index } = await waiting;
  expect(index).toBe(4);
  expect(JSON.parse(text)).toHaveLength(2);
});

test('a blocking query is answered when its time is over, with the same index', async () => {
  store.put(service());
  const before = performance.now();
  expect((await call('/v1/catalog/service/redis?index=2&wait=200ms')).index).toBe(2);
  const took = performance.now() - before;
  expect(took).toBeGreaterThan(190);
  expect(took).toBeLessThan(3000);
});

test('an index that is old, none, or of an earlier life is answered at once', async () => {
  store.put(service());
  for (const index of ['0', '', '1', '99999', '18446744073709551615']) {
    expect((await call(`/v1/catalog/service/redis?index=${index}&wait=60s`)).index).toBe(2);
  }
});

test('an answer has the index of what it says, though the next change comes before it is sent', async () => {
  const endpoint = ENDPOINTS.find(({ path }) => path === '/health/service/*') as Endpoint;
  for (const index of [0, 1]) {
    const held = new Store({ name: 'node1', address: '10.0.0.9' });
    const query = new URLSearchParams(`index=${index}&wait=1m`);
    const { signal } = new AbortController();
    const request = { method: 'GET', path: '', rest: 'redis', query, headers: {}, body: '', signal };
    const asked = answerOf(endpoint, held, request);
    held.put(service({ id: 'a' }));
    const changes = Promise.resolve().then(() => held.put(service({ id: 'b' })));
    const { headers, body } = await asked;
    await changes;
    const entries = JSON.parse(body as string) as { Service: { ModifyIndex: number } }[];
    // What it says was changed last at its index: a client that waits from there on misses nothing.
    expect(Number(headers?.['X-Consul-Index'])).toBe(Math.max(1, ...entries.map(({ Service }) => Service.ModifyIndex)));
  }
});

test('an index between that of the topic and that of the whole catalogue is of an earlier life, too', async () => {
  store.put(service());
  for (let i = 0; i < 10; i++) store.put(service({ id: `other-${i}`, name: 'other' }));
  expect(store.index).toBe(12);
  expect((await call('/v1/health/service/redis?index=7&wait=60s')).index).toBe(2);
});

test('a blocking query wakes when its own answer changed, and not otherwise', async () => {
  store.put(service({ id: 'a', check: { type: 'ttl', ttl: '1h' }, tags: ['x'] }));
  store.put(service({ id: 'b', check: { type: 'ttl', ttl: '1h', initialStatus: 'passing' }, tags: ['y'] }));
  const woken: string[] = [];
  const ask = async (path: string) => {
    const { index } = await call(path);
    const { signal } = stop;
    await call(`${path}${path.includes('?') ? '&' : '?'}index=${index}&wait=60s`, { signal });
    woken.push(path);
  };
  const stop = new AbortController();
  const paths = [
    '/v1/catalog/service/redis',
    '/v1/catalog/node/node1',
    '/v1/catalog/node-services/node1',
    '/v1/health/connect/redis',
    '/v1/health/service/redis?tag=y',
    '/v1/health/service/redis?passing',
    '/v1/health/state/warning',
    '/v1/health/state/any',
  ];
  const before = store.listenerCount;
  const asked = paths.map((path) => ask(path).catch(() => undefined));
  await eventually(() => store.listenerCount === before + paths.length);
  store.setCheck('a', 'warning', 'slow');
  await eventually(() => woken.length >= 2);
  await call('/v1/catalog/services');
  expect(woken.sort()).toEqual(['/v1/health/state/any', '/v1/health/state/warning']);
  stop.abort();
  await Promise.all(asked);
});

test('a service that comes, goes and comes wakes its watcher each time', async () => {
  const watch = (index: number) => call(`/v1/health/service/redis?index=${index}&wait=10s`);
  const first = await call('/v1/health/service/redis');
  let next = watch(first.index);
  store.put(service());
  const second = await next;
  expect(JSON.parse(second.text)).toHaveLength(1);
  next = watch(second.index);
  store.remove('node1:redis:6379');
  const third = await next;
  expect(JSON.parse(third.text)).toEqual([]);
  next = watch(third.index);
  store.put(service());
  expect(JSON.parse((await next).text)).toHaveLength(1);
});

test('closing ends waiting requests and idle connections at once', async () => {
  const idle = connect(server.port, '127.0.0.1');
  await once(idle, 'connect');
  idle.resume();
  const ended = call('/v1/catalog/services?index=1&wait=5m').catch((error: unknown) => error);
  await call('/v1/catalog/services');
  const before = performance.now();
  const closed = once(idle, 'close');
  await server.close();
  await closed;
  expect(await ended).toBeInstanceOf(Error);
  expect(performance.now() - before).toBeLessThan(2000);
});

test('a client that goes away while it waits leaves nothing behind', async () => {
  const stop = new AbortController();
  const before = store.listenerCount;
  const gone = call('/v1/catalog/services?index=1&wait=5m', { signal: stop.signal }).catch(() => undefined);
  await eventually(() => store.listenerCount === before + 1);
  stop.abort();
  await gone;
  await eventually(() => store.listenerCount === before);
});

test('too long a header or body is refused', async () => {
  expect((await call('/v1/catalog/services', { headers: { 'x-long': 'x'.repeat(20_000) } })).status).toBe(431);
  const body = 'x'.repeat(70_000);
  expect((await call('/v1/agent/check/update/service:known', { method: 'PUT', body })).status).toBe(413);
});

test('whatever path and query: an answer below 500 in words or JSON, or the words of Consul', async () => {
  store.put(service({ tags: ['a'] }));
  const part = fc.oneof(
    fc.constantFrom(
      'catalog',
      'health',
      'service',
      'redis',
      'agent',
      'state',
      'any',
      '..',
      '%',
      '%zz',
      '%00',
      '%2e%2e',
    ),
    fc.string({ maxLength: 12 }).map(encodeURIComponent),
  );
  const pair = fc
    .tuple(
      fc.constantFrom('tag', 'passing', 'filter', 'index', 'pretty', 'dc', 'node-meta', '__proto__'),
      fc.string({ maxLength: 12 }),
    )
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 5 }), fc.array(pair, { maxLength: 3 }), async (path, query) => {
      const { status, text } = await call(`/v1/${path.join('/')}?wait=1ms&${query.join('&')}`);
      if (status >= 500) expect(text).toBe('No path to datacenter');
      else expect([200, 400, 404]).toContain(status);
    }),
    { numRuns: 400 },
  );
});
