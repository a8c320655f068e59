import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import Consul from 'consul';
import { type DecodedPacket, decode } from 'dns-packet';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import { eventually } from '../support/eventually.ts';
import { service } from '../support/service.ts';

/** Clients that know Consul and nothing of us. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let catalogue: Catalogue;

beforeEach(async () => {
  const log = pino({ level: 'silent' });
  catalogue = new Catalogue({ nodeName: 'node1', nodeAddress: '10.0.0.9', http: LOOPBACK, dns: LOOPBACK, log });
  await catalogue.start();
  const { store } = catalogue;
  store.put(
    service({ id: 'web-1', name: 'web', tags: ['traefik.enable=true', 'v1'], port: 8001, meta: { zone: 'a' } }),
  );
  store.put(service({ id: 'web-2', name: 'web', tags: ['v2'], address: '10.0.0.2', port: 8002, weight: 5 }));
  store.put(service({ id: 'bad', name: 'web', address: '10.0.0.3', port: 8003, check: { type: 'ttl', ttl: '1h' } }));
});
afterEach(() => catalogue.stop());

describe('the npm client of Consul', () => {
  const client = () => new Consul({ host: '127.0.0.1', port: catalogue.httpPort ?? 0 });

  test('catalog', async () => {
    const { catalog } = client();
    expect(await catalog.datacenters()).toEqual(['dc1']);
    expect(await catalog.node.list()).toMatchObject([{ Node: 'node1', Address: '10.0.0.9' }]);
    expect(await catalog.service.list()).toEqual({ web: ['traefik.enable=true', 'v1', 'v2'] });
    expect(await catalog.service.nodes('web')).toHaveLength(3);
    expect(await catalog.service.nodes({ service: 'web', tag: 'v2' })).toMatchObject([
      { ServiceID: 'web-2', ServiceAddress: '10.0.0.2', ServicePort: 8002 },
    ]);
    expect(await catalog.node.services('node1')).toMatchObject({ Node: { Node: 'node1' }, Services: { 'web-1': {} } });
  });

  test('health', async () => {
    const { health } = client();
    const passing = (await health.service({ service: 'web', passing: true })) as { Service: { ID: string } }[];
    expect(passing.map((entry) => entry.Service.ID)).toEqual(['web-1', 'web-2']);
    expect(await health.checks('web')).toMatchObject([{ CheckID: 'service:bad', Status: 'critical' }]);
    expect(await health.state('critical')).toHaveLength(1);
    expect(await health.node('node1')).toMatchObject([{ CheckID: 'serfHealth' }, { CheckID: 'service:bad' }]);
  });

  test('agent, and an application that reports its own check', async () => {
    const { agent, health } = client();
    expect(await agent.self()).toMatchObject({ Config: { NodeName: 'node1', Datacenter: 'dc1' } });
    expect(await agent.members()).toMatchObject([{ Name: 'node1', Status: 1 }]);
    expect(Object.keys(await agent.service.list())).toEqual(['bad', 'web-1', 'web-2']);
    expect(Object.keys(await agent.check.list())).toEqual(['service:bad']);
    await agent.check.pass('service:bad');
    expect(await health.service({ service: 'web', passing: true })).toHaveLength(3);
    await agent.check.fail({ id: 'service:bad', note: 'out of disk' });
    expect(await health.checks('web')).toMatchObject([{ Status: 'critical', Output: 'out of disk' }]);
  });

  test('what would write is refused, in words', async () => {
    await expect(client().agent.service.register({ name: 'mine' })).rejects.toThrow(/method not allowed|read-only/i);
    expect(catalogue.store.size).toBe(3);
  });

  test('watch sees each change of its service, and none of others', async () => {
    const consul = client();
    const seen: string[][] = [];
    const watch = consul.watch({ method: consul.health.service, options: { service: 'web', passing: 'true' } });
    watch.on('change', (entries: { Service: { ID: string } }[]) => seen.push(entries.map(({ Service }) => Service.ID)));
    try {
      await eventually(() => seen.length === 1);
      catalogue.store.put(service({ id: 'other', name: 'other' }));
      catalogue.store.put(service({ id: 'web-4', name: 'web' }));
      await eventually(() => seen.length === 2);
      catalogue.store.remove('web-1');
      await eventually(() => seen.length === 3);
      expect(seen).toEqual([
        ['web-1', 'web-2'],
        ['web-1', 'web-2', 'web-4'],
        ['web-2', 'web-4'],
      ]);
    } finally {
      watch.end();
    }
  });
});

describe("Node's resolver", () => {
  const resolver = () => {
    const made = new Resolver({ timeout: 2_000, tries: 1 });
    made.setServers([`127.0.0.1:${catalogue.dnsPort}`]);
    return made;
  };

  test('SRV, with weights and ports, of those that are well', async () => {
    for (const name of ['web.service.consul', '_web._tcp.service.consul']) {
      const found = await resolver().resolveSrv(name);
      expect(found.sort((a, b) => a.port - b.port)).toMatchObject([
        { name: '0a000001.addr.dc1.consul', port: 8001, priority: 1, weight: 1 },
        { name: '0a000002.addr.dc1.consul', port: 8002, priority: 1, weight: 5 },
      ]);
    }
    expect(await resolver().resolve4('0a000002.addr.dc1.consul')).toEqual(['10.0.0.2']);
  });

  test('A, AAAA, PTR, SOA and NS, and "there is none" as the errors that Node has for it', async () => {
    expect((await resolver().resolve4('web.service.consul')).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(await resolver().reverse('10.0.0.2')).toEqual(['web.service.dc1.consul']);
    expect(await resolver().resolveNs('consul')).toEqual(['node1.node.dc1.consul']);
    expect((await resolver().resolveSoa('consul')).nsname).toBe('ns.consul');
    await expect(resolver().resolve6('web.service.consul')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver().resolve4('none.service.consul')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});

/** The questions of nginx' `resolver` and of `server … service=web resolve`, byte by byte, as its documentation tells. */
describe('a load balancer by DNS, nginx style', () => {
  /** nginx asks without EDNS, with recursion desired, for each family by itself; an SRV first with `service=`. */
  const packet = (name: string, type: number) => {
    const head = Buffer.from([0xbe, 0xef, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    const labels = name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]);
    return Buffer.from([...head, ...labels, 0, 0, type, 0, 1]);
  };

  async function ask(bytes: Buffer): Promise<DecodedPacket & { rcode: string; length: number }> {
    const socket = createSocket('udp4');
    try {
      socket.send(bytes, catalogue.dnsPort ?? 0, '127.0.0.1');
      const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(3_000) })) as [Buffer];
      return { ...(decode(reply) as DecodedPacket & { rcode: string }), length: reply.length };
    } finally {
      socket.close();
    }
  }

  test('the addresses, without a record that was not asked for', async () => {
    const { id, rcode, answers = [], additionals, length } = await ask(packet('web.service.consul', 1));
    expect([id, rcode, additionals]).toEqual([0xbeef, 'NOERROR', []]);
    expect(answers.map((record) => (record as { data: string }).data).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(length).toBeLessThanOrEqual(512);
    // nginx takes an empty answer for "no address of this family", and an NXDOMAIN for "no such host".
    expect(await ask(packet('web.service.consul', 28))).toMatchObject({ rcode: 'NOERROR', answers: [] });
    expect(await ask(packet('none.service.consul', 1))).toMatchObject({ rcode: 'NXDOMAIN', answers: [] });
  });

  test('service=web: the SRV records, and each target by its name', async () => {
    const { answers = [] } = await ask(packet('_web._tcp.service.consul', 33));
    const targets = answers.map((record) => (record as { data: { target: string; port: number } }).data);
    expect(targets.map(({ port }) => port).sort()).toEqual([8001, 8002]);
    for (const { target } of targets) {
      expect(await ask(packet(target, 1))).toMatchObject({ rcode: 'NOERROR', answers: [{ type: 'A' }] });
    }
  });
});

/** Consul's Go client, as Traefik's `consulCatalog` provider, consul-template and Prometheus use it (their documentation). */
describe('a load balancer by HTTP, Traefik style', () => {
  async function get(path: string) {
    const response = await fetch(`http://127.0.0.1:${catalogue.httpPort}${path}`, {
      headers: { 'User-Agent': 'Go-http-client/1.1', 'Accept-Encoding': 'gzip', 'X-Consul-Token': '' },
      signal: AbortSignal.timeout(5_000),
    });
    expect([path, response.status]).toEqual([path, 200]);
    return { body: (await response.json()) as never, index: response.headers.get('x-consul-index') ?? '' };
  }

  test('polling: all names, then the instances of each with its tag and its health', async () => {
    expect((await get('/v1/agent/self')).body).toMatchObject({ Config: { Datacenter: 'dc1' } });
    expect((await get('/v1/catalog/services?stale=')).body).toHaveProperty('web');
    const tag = encodeURIComponent('traefik.enable=true');
    const { body } = await get(`/v1/health/service/web?stale=&tag=${tag}`);
    expect(body).toMatchObject([
      {
        Node: { Node: 'node1', Address: '10.0.0.9' },
        Service: { ID: 'web-1', Service: 'web', Address: '10.0.0.1', Port: 8001, Tags: ['traefik.enable=true', 'v1'] },
        Checks: [{ CheckID: 'serfHealth', Status: 'passing' }],
      },
    ]);
    expect(body).toHaveLength(1);
    expect((await get('/v1/health/service/web?passing=1&cached=')).body).toHaveLength(2);
    const filter = encodeURIComponent('Service.Meta.zone == "a" and "v1" in Service.Tags');
    expect((await get(`/v1/health/service/web?filter=${filter}&near=_agent&require-consistent=`)).body).toHaveLength(1);
  });

  test('watching: a query with the last index waits for the next change; the Go client writes a minute as 60000ms', async () => {
    const first = await get('/v1/health/service/web?passing=1');
    const waiting = get(`/v1/health/service/web?index=${first.index}&passing=1&wait=60000ms`);
    const states = await get('/v1/health/state/any?index=1&wait=60000ms');
    const waitingForStates = get(`/v1/health/state/any?index=${states.index}&wait=60000ms`);
    catalogue.store.setCheck('bad', 'passing', '');
    expect((await waiting).body).toHaveLength(3);
    expect((await waitingForStates).body).toMatchObject([{}, { CheckID: 'service:bad', Status: 'passing' }]);
    const names = await get('/v1/catalog/services?index=1&wait=60000ms');
    const waitingForNames = get(`/v1/catalog/services?index=${names.index}&wait=60000ms`);
    catalogue.store.put(service({ id: 'new', name: 'api' }));
    expect((await waitingForNames).body).toHaveProperty('api');
  });

  test('an agent-side watch by hash, and the health of one instance by its status', async () => {
    const base = `http://127.0.0.1:${catalogue.httpPort}/v1/agent`;
    const hash = (await fetch(`${base}/service/web-1`)).headers.get('x-consul-contenthash');
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    const waiting = fetch(`${base}/service/web-1?hash=${hash}&wait=60s`);
    catalogue.store.put(service({ id: 'web-2', name: 'web', port: 1 }));
    const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 150, 'waits'))]);
    expect(early).toBe('waits');
    catalogue.store.put(service({ id: 'web-1', name: 'web', port: 9999 }));
    const changed = await waiting;
    expect(await changed.json()).toMatchObject({ ID: 'web-1', Port: 9999 });
    expect(changed.headers.get('x-consul-contenthash')).not.toBe(hash);
    const short = await fetch(`${base}/service/web-1?hash=${changed.headers.get('x-consul-contenthash')}&wait=50ms`);
    expect(short.status).toBe(200);
    const status = async (path: string) => (await fetch(`${base}/health/service/${path}`)).status;
    expect(await Promise.all(['id/web-1', 'id/bad', 'id/none', 'name/web', 'name/none'].map(status))).toEqual([
      200, 503, 404, 503, 404,
    ]);
    expect(await (await fetch(`${base}/health/service/name/web?format=text`)).text()).toBe('critical');
  });
});
