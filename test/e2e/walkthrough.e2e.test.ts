import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { dig, digShort } from '../support/dig.ts';
import { DockerEngine, webServer } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { importGoldenImages } from '../support/images.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';

let engine: DockerEngine;
beforeAll(async () => {
  engine = await new DockerEngine().start();
  await importGoldenImages(engine);
  await engine.importImage('web:latest', { expose: [8080], cmd: webServer(8080) });
});
afterAll(() => engine.dispose());
afterEach(() => engine.removeContainers());

const IP = '10.9.8.7';

/** What a person does in README's first minute, against any catalogue that speaks Consul's API and DNS. */
function walkThrough(start: () => Promise<{ uri: string; http: string; dns: number; node: string }>) {
  it('a container starts and its name resolves; it stops and the name is gone', async () => {
    const { uri, http, dns, node } = await start();
    const get = async (path: string) => (await fetch(`http://${http}${path}`)).json() as Promise<never>;
    await using registrator = new Registrator(['-ip', IP, uri], { host: engine.host });
    await registrator.waitForLog('looked at every container');
    await engine.run('-P', '--name', 'cache', '-e', 'SERVICE_TAGS=primary', '-e', 'SERVICE_REGION=eu', 'redis');
    const port = await engine.hostPort('cache', '6379/tcp');

    await eventuallyPasses(async () => expect(await get('/v1/catalog/services')).toMatchObject({ redis: ['primary'] }));
    expect(await get('/v1/catalog/service/redis')).toMatchObject([
      {
        ServiceID: `${hostname()}:cache:6379`,
        ServiceName: 'redis',
        ServiceAddress: IP,
        ServicePort: port,
        ServiceTags: ['primary'],
        ServiceMeta: { region: 'eu' },
        Node: node,
        Datacenter: 'dc1',
      },
    ]);
    expect(await get('/v1/catalog/service/redis?tag=primary')).toHaveLength(1);
    expect(await get('/v1/catalog/service/redis?tag=other')).toEqual([]);
    expect(await get('/v1/health/service/redis?passing')).toMatchObject([
      { Node: { Node: node }, Service: { Port: port } },
    ]);
    expect(await get('/v1/agent/services')).toMatchObject({
      [`${hostname()}:cache:6379`]: { Service: 'redis', Port: port },
    });
    expect(await get('/v1/catalog/nodes')).toMatchObject([{ Node: node }]);
    expect(await get('/v1/status/leader')).toMatch(/^[\d.]+:\d+$/);
    expect(await (await fetch(`http://${http}/v1/catalog/services?pretty`)).text()).toMatch(/\n {4}"redis": \[/);

    for (const name of [
      'redis.service.consul',
      'REDIS.service.DC1.consul',
      'primary.redis.service.consul',
      '_redis._tcp.service.consul',
      '_redis._primary.service.consul',
    ]) {
      expect(await digShort(dns, name), name).toEqual([IP]);
      expect(await digShort(dns, name, '+tcp'), name).toEqual([IP]);
    }
    const srv = await dig(dns, 'redis.service.consul', '-t', 'SRV');
    expect(srv.answer).toHaveLength(1);
    const [priority, weight, srvPort, target] = srv.answer[0]?.data.split(' ') ?? [];
    expect([priority, weight, srvPort]).toEqual(['1', '1', String(port)]);
    expect(srv.additional).toContainEqual(expect.objectContaining({ name: target, type: 'A', data: IP }));
    expect(await digShort(dns, target ?? '')).toEqual([IP]);
    expect((await dig(dns, `${node}.node.consul`)).status).toBe('NOERROR');
    expect(await digShort(dns, 'redis.service.consul', '-t', 'AAAA')).toEqual([]);

    await engine.docker('stop', 'cache');
    await eventuallyPasses(async () => {
      const gone = await dig(dns, 'redis.service.consul');
      expect(gone.status).toBe('NXDOMAIN');
      expect(gone.authority).toMatchObject([{ type: 'SOA' }]);
    });
    expect(await get('/v1/catalog/service/redis')).toEqual([]);
    expect(await registrator.stop()).toBe(0);
  });
}

describe('memory://, with nothing else installed', () => {
  walkThrough(async () => {
    const [http, dns] = [await freePort(), await freePort()];
    return { uri: `memory://127.0.0.1:${http}?dns=${dns}`, http: `127.0.0.1:${http}`, dns, node: hostname() };
  });

  it('answers AAAA for a service on an IPv6 address', async () => {
    const [http, dns] = [await freePort(), await freePort()];
    await using registrator = new Registrator(['-ip', '2001:db8::7', `memory://127.0.0.1:${http}?dns=${dns}`], {
      host: engine.host,
    });
    await engine.run('-P', 'redis');
    await registrator.waitForLog('registered');
    await eventuallyPasses(async () =>
      expect(await digShort(dns, 'redis.service.consul', '-t', 'AAAA')).toEqual(['2001:db8::7']),
    );
    expect(await digShort(dns, 'redis.service.consul', '-t', 'A')).toEqual([]);
  });

  it('fits or truncates an answer with 100 instances as the client can take it, in random order', async () => {
    const [http, dns] = [await freePort(), await freePort()];
    await using registrator = new Registrator(['-ip', IP, `memory://127.0.0.1:${http}?dns=${dns}`], {
      host: engine.host,
    });
    const published = Array.from({ length: 100 }, (_, n) => ['-p', `${6000 + n}:${6000 + n}`]).flat();
    await engine.run(
      ...published,
      '-e',
      'SERVICE_NAME=many',
      '-e',
      'SERVICE_NAME=many',
      ...Array.from({ length: 100 }, (_, n) => ['-e', `SERVICE_${6000 + n}_NAME=many`]).flat(),
      'plain',
    );
    // Of so many services of one container the log has a few lines, and a count.
    await registrator.waitForLog('and 90 more about this container');
    const small = await dig(dns, 'many.service.consul', '-t', 'SRV', '+noedns', '+ignore');
    expect(small.flags).toContain('tc');
    expect(Number(/MSG SIZE\s+rcvd: (\d+)/.exec(small.text)?.[1])).toBeLessThanOrEqual(512);
    const large = await dig(dns, 'many.service.consul', '-t', 'SRV', '+bufsize=4096', '+ignore');
    expect(Number(/MSG SIZE\s+rcvd: (\d+)/.exec(large.text)?.[1])).toBeLessThanOrEqual(4096);
    const tcp = await dig(dns, 'many.service.consul', '-t', 'SRV', '+tcp');
    expect(tcp.answer).toHaveLength(100);
    expect(tcp.flags).not.toContain('tc');
    const orders = new Set<string>();
    for (let n = 0; n < 5; n += 1)
      orders.add((await dig(dns, 'many.service.consul', '-t', 'SRV', '+tcp')).answer.map(({ data }) => data).join());
    expect(orders.size).toBeGreaterThan(1);
  });
});

describe('consul://, a real agent', () => {
  let consul: ConsulServer;
  beforeAll(async () => {
    consul = await new ConsulServer({ config: { enable_script_checks: true } }).start();
  });
  afterAll(() => consul.dispose());

  walkThrough(async () => ({
    uri: `consul://${consul.address}`,
    http: consul.address,
    dns: consul.dnsPort,
    node: 'consul-test',
  }));

  const checkOf = async (name: string) => {
    const checks = await consul.api<{ Status: string; Output: string }[]>('GET', `/v1/health/checks/${name}`);
    return checks[0];
  };

  it.each([
    ['http', ['-e', 'SERVICE_CHECK_HTTP=/', '-e', 'SERVICE_CHECK_INTERVAL=1s'], /passing|critical/],
    ['http-gone', ['-e', 'SERVICE_CHECK_HTTP=/nowhere', '-e', 'SERVICE_CHECK_INTERVAL=1s'], /critical/],
    ['tcp', ['-e', 'SERVICE_CHECK_TCP=true', '-e', 'SERVICE_CHECK_INTERVAL=1s'], /passing/],
    ['ttl', ['-e', 'SERVICE_CHECK_TTL=30s', '-e', 'SERVICE_CHECK_INITIAL_STATUS=passing'], /passing/],
    [
      'script',
      ['-e', 'SERVICE_CHECK_SCRIPT=sh -c "echo $SERVICE_PORT; exit 1"', '-e', 'SERVICE_CHECK_INTERVAL=1s'],
      /warning/,
    ],
    ['grpc', ['-e', 'SERVICE_CHECK_GRPC=true', '-e', 'SERVICE_CHECK_INTERVAL=1s'], /critical/],
    ['docker', ['--health-cmd', 'true', '--health-interval', '1s'], /passing/],
    ['docker-ill', ['--health-cmd', 'echo ill; false', '--health-interval', '1s', '--health-retries', '1'], /critical/],
  ])('the check %s arrives and shows its state', async (name, words, status) => {
    await using registrator = new Registrator(['-ip', '127.0.0.1', `consul://${consul.address}`], {
      host: engine.host,
    });
    await engine.run('-P', '--name', name, '-e', `SERVICE_NAME=${name}`, ...words, 'web');
    await eventuallyPasses(async () => expect((await checkOf(name))?.Status).toMatch(status), { deadlineMs: 15_000 });
    expect(registrator.running).toBe(true);
  });

  it('a paused container is critical and out of DNS until it goes on', async () => {
    await using registrator = new Registrator(['-ip', IP, `consul://${consul.address}`], { host: engine.host });
    await engine.run('-P', '--name', 'cache', 'redis');
    await registrator.waitForLog('registered');
    await eventuallyPasses(async () => expect(await digShort(consul.dnsPort, 'redis.service.consul')).toEqual([IP]));
    await engine.docker('pause', 'cache');
    await eventuallyPasses(async () => expect(await digShort(consul.dnsPort, 'redis.service.consul')).toEqual([]));
    expect(await checkOf('redis')).toMatchObject({ Status: 'critical' });
    await engine.docker('unpause', 'cache');
    await eventuallyPasses(async () => expect(await digShort(consul.dnsPort, 'redis.service.consul')).toEqual([IP]));
  });

  it('a label value that Consul would refuse costs only itself, and a warning names container and label', async () => {
    await using registrator = new Registrator(['-ip', IP, `consul://${consul.address}`], { host: engine.host });
    await engine.run(
      '-P',
      '--name',
      'odd',
      '-l',
      `SERVICE_LONG=${'x'.repeat(600)}`,
      '-l',
      'SERVICE_CHECK_TCP=1',
      '-l',
      'SERVICE_CHECK_INTERVAL=soon',
      'redis',
    );
    await registrator.waitForLog('registered');
    // Consul's agent tells its servers a moment later.
    await eventuallyPasses(async () => expect(await consul.api('GET', '/v1/catalog/service/redis')).toHaveLength(1));
    await registrator.waitForLog(
      ({ level, msg, container }) => level === 'warn' && container === 'odd' && /SERVICE_LONG/.test(msg ?? ''),
    );
    await registrator.waitForLog(
      ({ level, msg, container }) =>
        level === 'warn' && container === 'odd' && /SERVICE_CHECK_INTERVAL/.test(msg ?? ''),
    );
  });
});
