import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importNodeBase } from '../support/base-images.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { Registrator } from '../support/registrator.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

let engine: DockerEngine;
beforeAll(async () => {
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await engine.importImage('redis', { expose: [6379] });
}, 120_000);
afterAll(() => engine.dispose());

/** What a page of this registrator says, asked for in the engine's network; of any status. */
const get = async (url: string) => {
  const answer = await engine
    .inNetwork('busybox', 'wget', '-qO-', url)
    .catch((error: { stdout?: string }) => error.stdout);
  return answer ?? '';
};
const catalogue = async (address: string) =>
  (JSON.parse((await get(`http://${address}/v1/catalog/service/redis`)) || '[]') as Record<string, unknown>[]).map(
    ({ ServiceAddress, ServicePort }) => `${ServiceAddress}:${ServicePort}`,
  );

describe('in a container', () => {
  const WAITS =
    "registrator runs in a container with a network of its own, from which the host's address cannot be seen; give it with --ip, or run registrator with --net=host";
  const words = ['-v', `${root}:/app:ro`, 'node:base', 'node', '/app/src/cli/main.ts'];
  const mount = () => ['-v', `${engine.socket}:/var/run/docker.sock`];
  beforeAll(async () => {
    await importNodeBase(engine, 'node:base');
    await engine.run('--name', 'cache', '-p', '16379:6379', 'redis');
    return () => engine.removeContainers();
  }, 120_000);

  /** Starts it with these words before and behind the image; resolves with its address, once it has looked around. */
  async function start(before: string[], ...behind: string[]) {
    const id = await engine.run(...mount(), ...before, ...words, '--http', '0.0.0.0:9090', ...behind);
    const log = () => engine.docker('logs', id);
    await eventually(async () => (await log()).includes('looked at every container'), { deadlineMs: 30_000 });
    const { IPAddress } = (await engine.inspect(id)).NetworkSettings;
    return {
      id,
      address: IPAddress || '127.0.0.1',
      log,
      [Symbol.asyncDispose]: async () => void (await engine.docker('rm', '-f', id)),
    };
  }

  it('published ports wait, and the log, check and /ready say what to do', async () => {
    await using inside = await start([], 'memory://0.0.0.0:8500?dns=off');
    const lines = (await inside.log()).split('\n').filter((line) => line.includes('--net=host'));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'error', msg: `published ports are not registered: ${WAITS}` },
    ]);
    expect(await catalogue(`${inside.address}:8500`)).toEqual([]);
    const ready = `fetch('http://127.0.0.1:9090/ready').then(async (a) => console.log(a.status, await a.text()))`;
    expect(await engine.docker('exec', inside.id, 'node', '-e', ready)).toBe(
      `503 Published ports are not registered: ${WAITS}.`,
    );
    const check = await engine.docker('run', '--rm', ...mount(), ...words, 'check', 'cache', '--json');
    expect(JSON.parse(check)).toMatchObject({
      containers: [{ services: [], ignored: [{ port: '6379/tcp', reason: WAITS }] }],
    });
  });

  it('its network’s file, not its name, tells that it is one', async () => {
    await using inside = await start(['--hostname', 'web', '--name', 'named'], 'memory://0.0.0.0:8500?dns=off');
    expect(await inside.log()).toContain(WAITS);
    expect(await catalogue(`${inside.address}:8500`)).toEqual([]);
  });

  it('--internal and --ip need no look at the host', async () => {
    const { NetworkSettings } = await engine.inspect('cache');
    {
      await using inside = await start([], '--internal', 'memory://0.0.0.0:8500?dns=off');
      await eventuallyPasses(async () =>
        expect(await catalogue(`${inside.address}:8500`)).toEqual([`${NetworkSettings.IPAddress}:6379`]),
      );
      expect(await inside.log()).not.toContain('not registered');
    }
    await using inside = await start([], '--ip', '198.51.100.9', 'memory://0.0.0.0:8500?dns=off');
    await eventuallyPasses(async () =>
      expect(await catalogue(`${inside.address}:8500`)).toEqual(['198.51.100.9:16379']),
    );
  });

  it('on the host’s network the host’s address is seen', async () => {
    await run('ip', ['-n', engine.network ?? '', 'route', 'add', 'default', 'dev', engine.bridge]);
    await using _ = await start(['--net', 'host'], 'memory://0.0.0.0:8500?dns=off');
    await eventuallyPasses(async () => expect(await catalogue('127.0.0.1:8500')).toEqual([`${engine.gateway}:16379`]));
    await run('ip', ['-n', engine.network ?? '', 'route', 'del', 'default']);
  });
});

describe('the host’s address', () => {
  const ip = (...words: string[]) => run('ip', ['-n', engine.network ?? '', ...words]);

  it('is followed, from a boot before the network is up to a change of it', async () => {
    await engine.run('--name', 'cache', '-p', '16379:6379', 'redis');
    const flags = ['--hostname', 'node1.invalid', 'memory://127.0.0.1:8511?dns=off'];
    await using registrator = new Registrator(flags, { host: engine.host, network: engine.network });
    const held = () => catalogue('127.0.0.1:8511');
    await registrator.waitForLog('looked at every container');
    expect(registrator.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        msg: 'published ports are not registered: no IPv4 address of this host but loopback is known; give one with --ip',
      }),
    );
    expect(await held()).toEqual([]);

    await ip('link', 'add', 'uplink', 'type', 'bridge');
    await ip('address', 'add', '198.51.100.10/24', 'dev', 'uplink');
    await ip('link', 'set', 'uplink', 'up');
    await ip('route', 'add', 'default', 'dev', 'uplink');
    await eventuallyPasses(async () => expect(await held()).toEqual(['198.51.100.10:16379']), { deadlineMs: 20_000 });
    await eventuallyPasses(async () =>
      expect(await get('http://127.0.0.1:8511/v1/catalog/nodes')).toContain('"Address":"198.51.100.10"'),
    );

    await ip('address', 'flush', 'dev', 'uplink');
    await ip('address', 'add', '198.51.100.20/24', 'dev', 'uplink');
    await ip('route', 'add', 'default', 'dev', 'uplink');
    await eventuallyPasses(async () => expect(await held()).toEqual(['198.51.100.20:16379']), { deadlineMs: 25_000 });
    const moves = registrator.lines.filter(({ msg }) => msg?.startsWith('this host has another address'));
    expect(moves).toMatchObject([
      { level: 'info', address: '198.51.100.10', was: 'none' },
      { level: 'info', address: '198.51.100.20', was: '198.51.100.10' },
    ]);

    await ip('link', 'delete', 'uplink');
    // A host without a network has no other address: what is registered stays.
    const looks = 12_000;
    const end = Date.now() + looks;
    while (Date.now() < end) {
      expect(await held()).toEqual(['198.51.100.20:16379']);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  });
});
