import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importNodeBase } from './base-images.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { ConsulServer } from './consul.ts';
import { dig, digShort } from './dig.ts';
import { DockerEngine, webServer } from './engine.ts';
import { EtcdCluster, EtcdServer } from './etcd.ts';
import { eventually, eventuallyPasses, holds } from './eventually.ts';
import { importGoldenImages } from './images.ts';
import { FaultProxy } from './proxy.ts';
import { RecordingConsul } from './recorder.ts';
import { Registrator, runRegistrator } from './registrator.ts';
import { ZooKeeperServer } from './zookeeper.ts';

const textOf = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text();

describe('DockerEngine', () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await new DockerEngine({ ipv6: true }).start();
    await engine.importImage('web', { expose: [80], cmd: webServer(80) });
  });
  afterAll(() => engine.dispose());

  test('publishes a fixed port on loopback', async () => {
    const id = await engine.run('-p', '127.0.0.1:11080:80', '--name', 'fixed', 'web');
    expect(await eventually(() => textOf('http://127.0.0.1:11080/'))).toBe('served\n');
    const { Name, NetworkSettings } = await engine.inspect(id);
    expect(Name).toBe('/fixed');
    expect(NetworkSettings.Ports).toEqual({ '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '11080' }] });
  });

  test('publishes exposed ports with -P, on IPv4 and IPv6', async () => {
    const { NetworkSettings } = await engine.inspect(await engine.run('-P', 'web'));
    // The two ports differ where another engine of this machine had one of them first.
    const portOn = (wildcard: string) =>
      NetworkSettings.Ports?.['80/tcp']?.find(({ HostIp }) => HostIp === wildcard)?.HostPort;
    expect(await eventually(() => textOf(`http://127.0.0.1:${portOn('0.0.0.0')}/`))).toBe('served\n');
    expect(await eventually(() => textOf(`http://[::1]:${portOn('::')}/`))).toBe('served\n');
  });

  test('publishes a port on an IPv6 address alone', async () => {
    const id = await engine.run('-p', '[::1]:11081:80', 'web');
    expect(await eventually(() => textOf('http://[::1]:11081/'))).toBe('served\n');
    await expect(textOf('http://127.0.0.1:11081/')).rejects.toThrow();
    expect((await engine.inspect(id)).NetworkSettings.GlobalIPv6Address).toMatch(/^fd00:213:/);
  });

  test('publishes a UDP port', async () => {
    await importNodeBase(engine, 'node');
    const echo = `require('dgram').createSocket('udp4').on('message', function (m, r) { this.send(m, r.port, r.address) }).bind(53)`;
    const id = await engine.run('--init', '-p', '53/udp', 'node', 'node', '-e', echo);
    const port = await engine.hostPort(id, '53/udp');
    const socket = createSocket('udp4');
    try {
      const answer = once(socket, 'message');
      await eventually(() => {
        socket.send('ping', port, '127.0.0.1');
        return Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200))]);
      });
      expect(String((await answer)[0])).toBe('ping');
    } finally {
      socket.close();
    }
  });

  test('gives containers of a user-defined network an address in it', async () => {
    await engine.createNetwork('back', '--subnet', '10.215.7.0/24');
    const id = await engine.run('--net', 'back', '--ip', '10.215.7.10', 'web');
    expect((await engine.inspect(id)).NetworkSettings.Networks?.back?.IPAddress).toBe('10.215.7.10');
  });

  test('makes the golden images with their ports', async () => {
    const ids = await importGoldenImages(engine);
    const ports = await engine.docker('image', 'inspect', '-f', '{{json .Config.ExposedPorts}}', ids['named:latest']);
    expect(JSON.parse(ports)).toEqual({ '53/tcp': {}, '53/udp': {} });
    const id = await engine.run('registry.example:5000/team/api:2.0');
    await engine.docker('stop', id);
    expect((await engine.inspect(id)).State.ExitCode).toBe(0);
  });

  test('runs an image with a health check', async () => {
    await engine.importImage('well', { healthcheck: '--interval=1s CMD test -e /tmp/well' });
    const id = await engine.run('well');
    await engine.docker('exec', id, 'touch', '/tmp/well');
    await eventuallyPasses(async () => expect((await engine.inspect(id)).State.Health?.Status).toBe('healthy'));
  });

  test('rejects with what docker says', async () => {
    await expect(engine.docker('inspect', 'nothing')).rejects.toThrow('No such object: nothing');
  });

  test('comes back after kill -9, and a container can be started on the same port', async () => {
    const id = await engine.run('-p', '11082:80', 'web');
    await engine.kill9();
    await expect(textOf('http://127.0.0.1:11082/')).rejects.toThrow();
    await engine.start();
    expect((await engine.inspect(id)).State.Running).toBe(false);
    await engine.docker('start', id);
    expect(await eventually(() => textOf('http://127.0.0.1:11082/'))).toBe('served\n');
  });

  test('keeps images and stopped containers over a restart', async () => {
    const id = await engine.run('web');
    await engine.restart();
    expect((await engine.inspect(id)).State.Status).toBe('exited');
    expect(await engine.docker('images', '-q', 'web')).not.toBe('');
  });

  test('shares no network with the engine of this machine, whose docker0 it would remove when it is killed', async () => {
    const links: { ifname: string; linkinfo?: { info_kind?: string } }[] = JSON.parse(
      await engine.inNetwork('ip', '-json', '-details', 'link'),
    );
    // A machine's own network has a device that is none of these.
    const made = links.filter(
      ({ ifname, linkinfo }) => ifname === 'lo' || /^(veth|bridge)$/.test(linkinfo?.info_kind ?? ''),
    );
    expect(links.map(({ ifname }) => ifname)).toEqual(made.map(({ ifname }) => ifname));
    expect(links.map(({ ifname }) => ifname)).not.toContain('docker0');
  });

  test('serves two engines at once, which see nothing of each other', async () => {
    await using other = await new DockerEngine().start();
    await other.importImage('web', { expose: [80], cmd: webServer(80) });
    const here = await engine.hostPort(await engine.run('-P', 'web'), '80/tcp');
    const there = await other.hostPort(await other.run('-p', '11083:80', '--name', 'other', 'web'), '80/tcp');
    expect(await eventually(() => textOf(`http://127.0.0.1:${there}/`))).toBe('served\n');
    expect(await eventually(() => textOf(`http://127.0.0.1:${here}/`))).toBe('served\n');
    expect(await engine.docker('ps', '-a', '--format', '{{.Names}}')).not.toContain('other');
    expect(await other.docker('ps', '-a', '--format', '{{.Names}}')).toBe('other');
  });

  test('has a network of its own where told to, with every port free', async () => {
    await using alone = await new DockerEngine({ ownNetwork: true }).start();
    await alone.importImage('web', { expose: [80], cmd: webServer(80) });
    await alone.run('-p', '11083:80', 'web');
    await alone.run('--net', 'host', 'web');
    const get = (port: number) => alone.inNetwork('busybox', 'wget', '-qO-', `http://127.0.0.1:${port}/`);
    expect(await eventually(() => get(11083))).toBe('served\n');
    expect(await eventually(() => get(80))).toBe('served\n');
    await expect(textOf('http://127.0.0.1:11083/')).rejects.toThrow();
  });

  test('keeps containers running over kill -9 with live-restore', async () => {
    await using live = await new DockerEngine({ liveRestore: true }).start();
    await live.importImage('web', { expose: [80], cmd: webServer(80) });
    const id = await live.run('-p', '11084:80', 'web');
    const { StartedAt } = (await live.inspect(id)).State;
    await live.kill9();
    await live.start();
    expect((await live.inspect(id)).State).toMatchObject({ Running: true, StartedAt });
    expect(await eventually(() => textOf('http://127.0.0.1:11084/'))).toBe('served\n');
  });

  test('listens on TCP, and with certificates asks clients for theirs', async () => {
    await using certificates = await makeCertificates();
    await using tls = await new DockerEngine({ tcp: certificates }).start();
    const { ca, clientCert, clientKey } = certificates;
    const url = `https://127.0.0.1:${tls.tcpPort}/_ping`;
    expect(await getWith(url, { ca, cert: clientCert, key: clientKey })).toBe('OK');
    await expect(getWith(url, { ca })).rejects.toThrow();
  });
});

describe('a server of a test process that was killed', () => {
  test('is ended with its containers, mounts, bridge and folder', async () => {
    const script = `
      const { DockerEngine, webServer } = await import(${JSON.stringify(new URL('engine.ts', import.meta.url).href)});
      const engine = await new DockerEngine().start();
      await engine.importImage('web', { cmd: webServer(80) });
      await engine.run('-p', '11085:80', 'web');
      console.log(JSON.stringify({ dir: engine.dir, bridge: engine.bridge }));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { dir, bridge } = JSON.parse(String((await once(child.stdout, 'data'))[0])) as Record<
      'dir' | 'bridge',
      string
    >;
    expect(await eventually(() => textOf('http://127.0.0.1:11085/'))).toBe('served\n');
    child.kill('SIGKILL');
    await eventually(() => !existsSync(dir));
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(dir);
    expect(readdirSync('/sys/class/net')).not.toContain(bridge);
    await expect(textOf('http://127.0.0.1:11085/')).rejects.toThrow();
  });
});

describe('ConsulServer', () => {
  const web = { ID: 'web-1', Name: 'web', Address: '10.9.8.7', Port: 80 };

  test('registers and answers by HTTP, Unix socket and DNS; keeps its data when killed, and not when emptied', async () => {
    await using consul = await new ConsulServer().start();
    await consul.api('PUT', '/v1/agent/service/register', web);
    await eventuallyPasses(async () =>
      expect(await digShort(consul.dnsPort, 'web.service.consul')).toEqual(['10.9.8.7']),
    );
    const { status, answer, additional } = await dig(consul.dnsPort, 'web.service.consul', 'SRV');
    expect(status).toBe('NOERROR');
    expect(answer).toMatchObject([{ name: 'web.service.consul.', type: 'SRV' }]);
    expect(answer[0]?.data).toMatch(/^1 1 80 /);
    expect(additional).toContainEqual(expect.objectContaining({ type: 'A', data: '10.9.8.7' }));
    expect((await dig(consul.dnsPort, 'gone.service.consul')).status).toBe('NXDOMAIN');
    expect(await getWith({ socketPath: consul.socket, path: '/v1/status/leader' })).toMatch(/127\.0\.0\.1/);

    await consul.kill9();
    await expect(consul.api('GET', '/v1/status/leader')).rejects.toThrow();
    await consul.start();
    expect(await consul.api('GET', '/v1/agent/services')).toMatchObject({ 'web-1': { Service: 'web' } });
    await consul.restart({ emptyData: true });
    expect(await consul.api('GET', '/v1/agent/services')).toEqual({});
  });

  test('runs script checks', async () => {
    await using consul = await new ConsulServer().start();
    const check = { Args: ['sh', '-c', 'echo all well'], Interval: '1s' };
    await consul.api('PUT', '/v1/agent/service/register', { ...web, Check: check });
    await eventuallyPasses(async () =>
      expect(await consul.api('GET', '/v1/agent/checks')).toMatchObject({
        'service:web-1': { Status: 'passing', Output: 'all well\n' },
      }),
    );
  });

  test('with ACLs refuses whoever lacks a token', async () => {
    await using consul = await new ConsulServer({ acl: true }).start();
    const register = (token: string) => consul.api('PUT', '/v1/agent/service/register', web, token);
    await expect(register('')).rejects.toThrow('403');
    const reader = await consul.createToken('service_prefix "" { policy = "read" }');
    const writer = await consul.createToken('service_prefix "web" { policy = "write" }');
    await expect(register(reader)).rejects.toThrow('403');
    await register(writer);
    expect(await consul.api('GET', '/v1/agent/services')).toHaveProperty('web-1');
  });

  test('with TLS asks clients for their certificate', async () => {
    await using certificates = await makeCertificates();
    await using consul = await new ConsulServer({ tls: certificates }).start();
    const { ca, clientCert, clientKey } = certificates;
    const url = `https://127.0.0.1:${consul.httpsPort}/v1/status/leader`;
    expect(await getWith(url, { ca, cert: clientCert, key: clientKey })).toMatch(/127\.0\.0\.1/);
    await expect(getWith(url, { ca })).rejects.toThrow();
  });

  test('that cannot start says why, from its log', async () => {
    await using consul = new ConsulServer({ config: { no_such_setting: true } });
    await expect(consul.start()).rejects.toThrow(/invalid config key no_such_setting/);
  });
});

describe('EtcdServer', () => {
  let certificates: Certificates;
  beforeAll(async () => {
    certificates = await makeCertificates();
  });
  afterAll(() => certificates[Symbol.asyncDispose]());

  test('serves v3 and v2, keeps its data when killed, and not when emptied', async () => {
    await using etcd = await new EtcdServer().start();
    await etcd.ctl('put', '/services/web/1', '10.9.8.7:80');
    expect(await etcd.list('/services')).toEqual(new Map([['/services/web/1', '10.9.8.7:80']]));
    const v2 = `http://${etcd.address}/v2/keys/web`;
    await fetch(v2, { method: 'PUT', body: new URLSearchParams({ value: 'here' }) });
    expect(await (await fetch(v2)).json()).toMatchObject({ node: { value: 'here' } });

    await etcd.kill9();
    await etcd.start();
    expect((await etcd.list('/services')).size).toBe(1);
    await etcd.restart({ emptyData: true });
    expect((await etcd.list('/services')).size).toBe(0);
  });

  test('with authentication lets a user write under its prefix alone', async () => {
    await using etcd = await new EtcdServer({ authTokenTtl: 1 }).start();
    await etcd.enableAuth('root-password', { name: 'writer', password: 'pw', prefix: '/services/' });
    const post = async (path: string, body: object, token?: string) => {
      const headers = token === undefined ? {} : { Authorization: token };
      const init = { method: 'POST', headers, body: JSON.stringify(body) };
      return (await (await fetch(`http://${etcd.address}/v3/${path}`, init)).json()) as Record<string, string>;
    };
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const put = (key: string, token?: string) => post('kv/put', { key: base64(key), value: base64('x') }, token);
    const { token } = await post('auth/authenticate', { name: 'writer', password: 'pw' });
    expect(await put('/services/a', token)).not.toHaveProperty('error');
    expect(await put('/other', token)).toMatchObject({ error: 'etcdserver: permission denied' });
    expect(await put('/services/a')).toHaveProperty('error');
    expect([...(await etcd.list()).keys()]).toEqual(['/services/a']);
    // Each use prolongs a token, so two tries are further apart than it lives.
    await eventuallyPasses(
      async () => expect(await put('/services/a', token)).toMatchObject({ error: 'etcdserver: invalid auth token' }),
      { everyMs: 2_500 },
    );
  });

  test('with TLS asks clients for their certificate', async () => {
    await using etcd = await new EtcdServer({ tls: certificates }).start();
    const { ca, clientCert, clientKey } = certificates;
    const url = `https://${etcd.address}/health`;
    expect(await getWith(url, { ca, cert: clientCert, key: clientKey })).toContain('true');
    await expect(getWith(url, { ca })).rejects.toThrow();
    await etcd.ctl('put', '/a', 'b');
    expect(await etcd.list('/')).toEqual(new Map([['/a', 'b']]));
  });

  test('as a cluster of three goes on without one of them', async () => {
    await using cluster = await new EtcdCluster().start();
    const [first, second, third] = cluster.members;
    await first?.ctl('put', '/a', '1');
    expect(await third?.list('/')).toEqual(new Map([['/a', '1']]));
    await first?.kill9();
    await eventually(() => second?.ctl('put', '/b', '2'));
    await first?.start();
    await eventuallyPasses(async () => expect((await first?.list('/'))?.size).toBe(2));
  });
});

describe('ZooKeeperServer', () => {
  test('answers, and comes back on its port after kill -9', async () => {
    await using zookeeper = await new ZooKeeperServer().start();
    const { port } = zookeeper;
    await zookeeper.kill9();
    await zookeeper.restart({ emptyData: true });
    expect(zookeeper.port).toBe(port);
    expect(await zookeeper.ask('ruok')).toBe('imok');
    expect(await zookeeper.ask('conf')).toMatch(/^maxSessionTimeout=10000$/m);
  });
});

describe('RecordingConsul', () => {
  test('records each PUT in order, and lists what is registered', async () => {
    await using recorder = await new RecordingConsul().start();
    const put = (path: string, body?: object) =>
      fetch(`http://${recorder.address}/v1/agent${path}`, { method: 'PUT', body: body ? JSON.stringify(body) : null });
    await put('/service/register', { ID: 'a', Name: 'web', Port: 80, Check: { TTL: '3s' } });
    await put('/service/register', { ID: 'b', Name: 'web', Port: 81 });
    await put('/service/deregister/b');
    expect(recorder.puts.map(({ path }) => path)).toEqual([
      '/v1/agent/service/register',
      '/v1/agent/service/register',
      '/v1/agent/service/deregister/b',
    ]);
    expect(recorder.registrations).toMatchObject([{ ID: 'a' }, { ID: 'b' }]);
    expect(await (await fetch(`http://${recorder.address}/v1/agent/services`)).json()).toEqual({
      a: expect.objectContaining({ ID: 'a', Service: 'web', Port: 80, Tags: [] }),
    });
    expect(await (await fetch(`http://${recorder.address}/v1/agent/checks`)).json()).toHaveProperty('service:a');
    recorder.intercept = () => ({ status: 500, body: 'disk full' });
    expect((await put('/service/register', { ID: 'c', Name: 'web' })).status).toBe(500);
    expect([...recorder.services.keys()]).toEqual(['a']);
  });
});

describe('FaultProxy', () => {
  test('passes on, delays, stalls without closing, and cuts', async () => {
    const server = createServer((_, response) => response.end('hello'));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    try {
      await using proxy = await new FaultProxy((server.address() as AddressInfo).port).start();
      const url = `http://${proxy.address}/`;
      expect(await textOf(url)).toBe('hello');
      proxy.delayMs = 100;
      const start = performance.now();
      expect(await textOf(url)).toBe('hello');
      expect(performance.now() - start).toBeGreaterThan(190); // once each way
      proxy.delayMs = 0;

      const client = connect(proxy.port, '127.0.0.1');
      await once(client, 'connect');
      let got = '';
      client.setEncoding('utf8').on('data', (chunk: string) => {
        got += chunk;
      });
      proxy.stall();
      client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await holds(() => expect([got, client.destroyed]).toEqual(['', false]), 200);
      proxy.resume();
      await eventuallyPasses(() => expect(got).toContain('hello'));
      const closed = once(client, 'close').catch((error: unknown) => error);
      client.on('error', () => {});
      proxy.cut();
      await closed;
      expect(client.destroyed).toBe(true);
      await proxy.stop();
      await expect(textOf(url)).rejects.toThrow();
      await proxy.start();
      expect(await textOf(url)).toBe('hello');
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  test('stands before a Unix socket', async () => {
    await using engine = await new DockerEngine().start();
    const path = join(engine.dir, 'proxy.sock');
    await using proxy = await new FaultProxy(engine.socket, path).start();
    expect(await getWith({ socketPath: path, path: '/_ping' })).toBe('OK');
    await proxy.stop();
    expect(existsSync(path)).toBe(false);
  });
});

describe('Registrator', () => {
  const script = (dir: string, text: string) => {
    const path = join(dir, 'script.mjs');
    writeFileSync(path, text);
    return path;
  };

  test('collects log lines and the exit code of the program', async () => {
    await using consul = new ConsulServer(); // for its folder
    const path = script(
      consul.dir,
      `process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000);
       console.log(JSON.stringify({ level: 30, msg: 'on ' + process.env.DOCKER_HOST, words: process.argv.slice(2) }));`,
    );
    await using child = new Registrator(['-ip', '1.2.3.4'], { host: 'unix:///s', script: path });
    expect(await child.waitForLog('on unix')).toMatchObject({ msg: 'on unix:///s', words: ['-ip', '1.2.3.4'] });
    expect(await child.stop()).toBe(3);
    await expect(child.waitForLog('never')).rejects.toThrow('registrator did not log never');
  });

  test('runs to the end', async () => {
    await using consul = new ConsulServer();
    const path = script(consul.dir, `console.error('wrong flag'); process.exitCode = 2;`);
    expect(await runRegistrator([], { script: path })).toEqual({ code: 2, stdout: '', stderr: 'wrong flag\n' });
  });
});

/** The body of a GET by a URL or Unix socket, with the PEM files named. */
function getWith(
  target: string | { readonly socketPath: string; readonly path: string },
  files: { readonly ca?: string; readonly cert?: string; readonly key?: string } = {},
): Promise<string> {
  const pem = Object.fromEntries(Object.entries(files).map(([key, path]) => [key, readFileSync(path)]));
  return new Promise((resolve, reject) => {
    const options = { agent: false, timeout: 5_000 };
    const request =
      typeof target === 'string'
        ? httpsRequest(target, { ...options, ...pem })
        : httpRequest({ ...options, ...target });
    request.once('error', reject);
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('response', async (response) => {
      let body = '';
      for await (const chunk of response.setEncoding('utf8')) body += chunk;
      resolve(body);
    });
    request.end();
  });
}
