import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ConsulServer } from '../../support/consul.ts';
import { DockerEngine } from '../../support/engine.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import { importGoldenImages } from '../../support/images.ts';
import { freePort } from '../../support/ports.ts';
import { Registrator, runRegistrator } from '../../support/registrator.ts';

let engine: DockerEngine;
let consul: ConsulServer;
beforeAll(async () => {
  [engine, consul] = await Promise.all([new DockerEngine().start(), new ConsulServer().start()]);
  await importGoldenImages(engine);
});
afterAll(() => Promise.all([engine.dispose(), consul.dispose()]));
afterEach(() => engine.removeContainers());

/** Free ports of the host, of five digits, for those that containers are published on. */
const [A, B] = [await freePort(), await freePort()];

const command = (...args: string[]) => runRegistrator(args, { host: engine.host });
const ids = async () => Object.keys(await consul.api<Record<string, unknown>>('GET', '/v1/agent/services')).sort();

describe('registrator check', () => {
  it('shows what would be registered for every container, and why a port is not', async () => {
    await engine.run('--name', 'cache', '-p', `${A}:6379`, '-l', 'SERVICE_TAGS=a,b', 'redis');
    await engine.run('--name', 'web', '-p', `127.0.0.1:${B}:80`, '-l', 'SERVICE_80_CHECK_HTTP=/ok', 'acme/nginx:1.2');
    await engine.run('--name', 'portless', 'plain');
    const { code, stdout, stderr } = await command('check', '-ip', '10.9.8.7');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'CONTAINER  PORT      SERVICE  ADDRESS         TAGS  CHECK                     ID',
      `cache      6379/tcp  redis    10.9.8.7:${A}  a,b   -                         ${hostname()}:cache:6379`,
      `web        80/tcp    nginx    10.9.8.7:${B}  -     http://10.9.8.7:${B}/ok  ${hostname()}:web:80`,
      '',
      'NOT REGISTERED  PORT     BECAUSE',
      'portless        -        it has no port: neither its image nor docker run exposes or publishes one',
      'web             443/tcp  not published; publish it, or use --internal or SERVICE_INTERNAL=true',
      '',
    ]);
  });

  it('takes the flags that registrator would be started with', async () => {
    await engine.run('--name', 'cache', 'redis');
    const address = await engine.docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'cache');
    const { stdout } = await command('check', '-internal', '--json', 'cache');
    expect(JSON.parse(stdout)).toMatchObject({
      containers: [
        {
          name: 'cache',
          services: [{ name: 'redis', address, port: 6379, exposedPort: 6379, protocol: 'tcp' }],
          ignored: [],
          notices: [],
        },
      ],
    });
  });

  it('says of one container where each field comes from', async () => {
    await engine.run('--name', 'cache', '-p', `${A}:6379`, '-l', 'SERVICE_NAME=db', '-e', 'SERVICE_REGION=eu', 'redis');
    const { stdout } = await command('check', '-ip', '10.9.8.7', 'cache');
    expect(stdout.split('\n').slice(3)).toEqual([
      'SERVICE  PORT      FIELD        FROM',
      'db       6379/tcp  name         label SERVICE_NAME',
      'db       6379/tcp  id           default: host, container and port',
      'db       6379/tcp  address      --ip',
      'db       6379/tcp  port         published port',
      'db       6379/tcp  meta.region  environment SERVICE_REGION',
      '',
    ]);
  });

  it('tells of a container that does not run, and of a label that is wrong', async () => {
    await engine.run('--name', 'cache', '-P', '-l', 'SERVICE_PORT=many', 'redis');
    expect((await command('check', 'cache')).stdout).toMatch(
      /NOTICE\nContainer cache: .*SERVICE_PORT.*no whole number from 1 to 65535/,
    );
    await engine.docker('stop', 'cache');
    const { code, stdout } = await command('check', 'cache');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Nothing would be registered\.[\s\S]*cache +6379\/tcp +the container is "exited"; start it/);
  });

  it('says of a Swarm task that only managers know what its service publishes', async () => {
    const labels = ['com.docker.swarm.service.id=k2a9f', 'com.docker.swarm.service.name=shop', 'SERVICE_TAGS=a'];
    await engine.run('--name', 'task', '-p', `${A}:6379`, ...labels.flatMap((label) => ['-l', label]), 'redis');
    const { code, stdout } = await command('check', '--swarm', '--ip', '10.9.8.7', 'task');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`task +6379/tcp +shop +10\\.9\\.8\\.7:${A} +a `));
    expect(stdout).toMatch(/NOTICE\n.*this node is no Swarm manager/);
  });

  it('exits 1 with a sentence where there is no such container, or no Docker', async () => {
    expect(await command('check', 'nobody')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'registrator: There is no container "nobody" on this host; docker ps -a shows those there are.\n',
    });
    const { code, stderr } = await runRegistrator(['check'], { host: 'unix:///nowhere/docker.sock' });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/Docker at unix:\/\/\/nowhere.* does not answer.*socket\?\n$/),
    ]);
  });
});

describe('registrator ls and cleanup', () => {
  it('tell what a registry holds of this host and what is stale, and remove that only', async () => {
    const uri = `consul://${consul.address}`;
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'theirs', Name: 'theirs', Port: 1 });
    await consul.api('PUT', '/v1/agent/service/register', {
      ID: `${hostname()}:long-gone:80`,
      Name: 'gone',
      Port: 80,
      Address: '10.9.8.7',
    });
    await engine.run('--name', 'cache', '-p', `${A}:6379`, 'redis');
    await engine.run('--name', 'late', '-p', `${B}:8080`, '-l', 'SERVICE_NAME=late', 'plain');
    await engine.docker('stop', 'late');
    const registrator = new Registrator(['-ip', '10.9.8.7', uri], { host: engine.host });
    await registrator.waitForLog('deregistered');
    await registrator.stop();
    await consul.api('PUT', '/v1/agent/service/register', {
      ID: `${hostname()}:long-gone:80`,
      Name: 'gone',
      Port: 80,
      Address: '10.9.8.7',
    });
    await engine.docker('start', 'late');

    const { code, stdout } = await command('ls', '-ip', '10.9.8.7', uri);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.trim().split(/ +/))).toEqual([
      [uri],
      ['STATE', 'SERVICE', 'ADDRESS', 'ID'],
      ['registered', 'redis', `10.9.8.7:${A}`, `${hostname()}:cache:6379`],
      ['missing', 'late', `10.9.8.7:${B}`, `${hostname()}:late:8080`],
      ['stale', 'gone', '10.9.8.7:80', `${hostname()}:long-gone:80`],
      [''],
    ]);
    const json = JSON.parse((await command('ls', '--json', uri)).stdout);
    expect(json.registries[0].entries.map(({ state }: { state: string }) => state)).toEqual([
      'registered',
      'missing',
      'stale',
    ]);

    const before = await ids();
    expect((await command('cleanup', '--dry-run', uri)).stdout).toMatch(/would remove +gone +10\.9\.8\.7:80/);
    expect(await ids()).toEqual(before);
    expect((await command('cleanup', uri)).stdout).toMatch(/removed +gone/);
    expect(await ids()).toEqual([`${hostname()}:cache:6379`, 'theirs'].sort());
    expect((await command('cleanup', uri)).stdout).toContain('nothing is stale');
  });

  it('look at the entries of another host, and leave those of this one, with --hostname', async () => {
    const uri = `consul://${consul.address}`;
    await engine.run('--name', 'cache', '-p', `${A}:6379`, 'redis');
    await using registrator = new Registrator(['-ip', '10.9.8.7', uri], { host: engine.host });
    await registrator.waitForLog('connected to the registry');
    await eventuallyPasses(async () => expect(await ids()).toContain(`${hostname()}:cache:6379`));
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'old-host:web:80', Name: 'web', Port: 80 });
    expect((await command('cleanup', '--hostname', 'old-host', uri)).stdout).toMatch(
      /removed +web +.*old-host:web:80\n$/,
    );
    expect(await ids()).toEqual([`${hostname()}:cache:6379`, 'theirs'].sort());
  });

  it('keep what -deregister on-success keeps', async () => {
    const uri = `consul://${consul.address}`;
    const id = `${hostname()}:failed:80`;
    await engine.run('--name', 'failed', 'plain', 'sh', '-c', 'exit 3');
    await engine.docker('wait', 'failed');
    await consul.api('PUT', '/v1/agent/service/register', { ID: id, Name: 'failed', Port: 80 });
    await command('cleanup', '-deregister', 'on-success', uri);
    expect(await ids()).toContain(id);
    await command('cleanup', uri);
    expect(await ids()).not.toContain(id);
  });

  it('exit 1 with a sentence for a registry that does not answer, and for memory://', async () => {
    const away = await command('ls', 'consul://127.0.0.1:1');
    expect([away.code, away.stderr]).toEqual([1, expect.stringMatching(/consul:\/\/127\.0\.0\.1:1 does not answer/)]);
    const memory = await command('ls');
    expect([memory.code, memory.stderr]).toEqual([
      1,
      expect.stringContaining('lives in the registrator that serves it'),
    ]);
  });
});

describe('a command started wrongly', () => {
  it.each([
    [['ls', 'nonsense://x'], 'There is no registry "nonsense"'],
    [['cleanup', 'consul://h:x'], 'that is no host:port'],
    [['check', '--ip', 'here'], 'IPv4 or IPv6 address'],
  ])('%j exits 2 with one sentence', async (args, words) => {
    const { code, stdout, stderr } = await runRegistrator(args, { host: 'unix:///nowhere/docker.sock' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
