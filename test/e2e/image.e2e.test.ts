import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildImage, importConsul } from '../support/base-images.ts';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

describe('the image', () => {
  let engine: DockerEngine;
  let consul: ConsulServer;
  beforeAll(async () => {
    [engine, consul] = await Promise.all([new DockerEngine().start(), new ConsulServer().start()]);
    await buildImage(engine, version);
    await engine.importImage('redis', { expose: [6379] });
  }, 300_000);
  afterAll(() => Promise.all([engine.dispose(), consul.dispose()]));

  const mount = () => ['--net', 'host', '-v', `${engine.socket}:/var/run/docker.sock`];
  const status = async (container: string) =>
    readFileSync(`/proc/${(await engine.inspect(container)).State.Pid}/status`, 'utf8');

  test('tells its version, and that of its label', async () => {
    expect(await engine.docker('run', '--rm', 'registrator', '--version')).toBe(version);
    const labels = await engine.docker('image', 'inspect', '-f', '{{json .Config.Labels}}', 'registrator');
    expect(JSON.parse(labels)).toMatchObject({
      'org.opencontainers.image.title': 'registrator',
      'org.opencontainers.image.version': version,
    });
  });

  test('registers with the socket mounted, without being root, is healthy, and stops with exit code 0', async () => {
    const id = await engine.run(...mount(), 'registrator', '--ip', '127.0.0.1', `consul://${consul.address}`);
    await engine.run('-p', '11090:6379', '--name', 'redis', 'redis');
    await eventuallyPasses(async () =>
      expect(await consul.api('GET', '/v1/catalog/service/redis')).toMatchObject([
        { ServiceName: 'redis', ServiceAddress: '127.0.0.1', ServicePort: 11090 },
      ]),
    );
    expect(await status(id)).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(await status(id)).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
    expect(await engine.docker('exec', id, 'node', '/app/docker/healthcheck.js')).toMatch(
      /^last heartbeat [0-5]\.\d s ago$/,
    );
    expect(await engine.docker('exec', id, 'registrator', '--version')).toBe(version);
    await engine.docker('stop', id);
    expect((await engine.inspect(id)).State.ExitCode).toBe(0);
  });

  test('stays root where the environment names a file that only root may read, and where it is told to', async () => {
    const secret = ['-v', `${engine.dir}/daemon.json:/run/secret:ro`, '-e', 'CONSUL_HTTP_TOKEN_FILE=/run/secret'];
    await engine.docker('run', '--rm', '-v', `${engine.dir}:/d`, 'redis', 'chmod', '600', '/d/daemon.json');
    for (const words of [secret, ['-e', 'RUN_AS_ROOT=true']]) {
      const id = await engine.run(...mount(), ...words, 'registrator', `consul://${consul.address}`);
      await eventually(async () => (await engine.docker('logs', id)).includes('registrator starts'));
      expect(await status(id)).toMatch(/^Uid:\t0\t/m);
      await engine.docker('rm', '-f', id);
    }
  });

  test('runs as the user that --user names, in a read-only container without capabilities', async () => {
    const socketGroup = await engine.docker(
      'run',
      '--rm',
      ...mount(),
      'redis',
      'stat',
      '-c',
      '%g',
      '/var/run/docker.sock',
    );
    const strict = ['--read-only', '--cap-drop', 'ALL', '--user', '1000:1000', '--group-add', socketGroup];
    const id = await engine.run(
      ...mount(),
      ...strict,
      '--health-interval=1s',
      'registrator',
      `consul://${consul.address}`,
    );
    await eventuallyPasses(async () => expect((await engine.inspect(id)).State.Health?.Status).toBe('healthy'));
    expect(await status(id)).toMatch(/^Uid:\t1000\t/m);
  });

  test('finds redis in Consul, as docker-compose.yml promises', async () => {
    await using host = await new DockerEngine({ ownNetwork: true }).start();
    const images = join(host.dir, 'images.tar');
    await importConsul(engine, 'consul:test');
    await engine.docker('save', '-o', images, 'registrator', 'consul:test', 'redis');
    await host.docker('load', '-i', images);
    // The one address of this host is its loopback.
    const override = join(host.dir, 'override.yml');
    await writeFile(override, 'services: { registrator: { environment: { REGISTRATOR_IP: 127.0.0.1 } } }');
    const compose = (...words: string[]) =>
      promisify(execFile)(
        'docker-compose',
        ['-p', 'demo', '-f', join(root, 'docker-compose.yml'), '-f', override, ...words],
        {
          env: {
            PATH: process.env.PATH,
            DOCKER_HOST: host.host,
            DOCKER_SOCKET: host.socket,
            CONSUL_IMAGE: 'consul:test',
            REDIS_IMAGE: 'redis',
          },
        },
      );
    const instances = async () =>
      JSON.parse(
        await host.inNetwork('busybox', 'wget', '-qO-', 'http://127.0.0.1:8500/v1/catalog/service/redis'),
      ) as Record<string, unknown>[];

    await compose('up', '-d', '--no-build', '--scale', 'redis=3');
    await eventuallyPasses(async () => expect(await instances()).toHaveLength(3), { deadlineMs: 20_000 });
    expect((await instances())[0]).toMatchObject({ ServiceTags: ['primary', 'cache'], ServiceAddress: '127.0.0.1' });
    await compose('stop', 'redis');
    await eventuallyPasses(async () => expect(await instances()).toHaveLength(0));
    await compose('down');
  });
});
