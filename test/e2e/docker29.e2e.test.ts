import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DockerHost, dockerConnection } from '../../src/docker/index.ts';
import { Docker29 } from '../support/docker29.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';

/** Serves on for 3 s after it was told to stop. */
const graceful = ['sh', '-c', "trap 'sleep 3; exit 0' TERM; sleep 2147483647 & wait"];

const { signal } = new AbortController();
let engine: DockerEngine;
let docker29: Docker29;
beforeAll(async () => {
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await engine.importImage('web', {
    expose: [80],
    cmd: graceful,
    healthcheck: '--interval=1s --retries=1 CMD test -e /well',
  });
  docker29 = await new Docker29(engine.socket, join(engine.dir, 'answers-as-29.sock')).start();
});
afterAll(async () => {
  await docker29.dispose();
  await engine.dispose();
});
beforeEach(() => () => engine.removeContainers());

interface Instance {
  readonly Service: { readonly Address: string; readonly Port: number };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

/** A registrator with an embedded catalogue, and what that holds of `web`. */
async function start(...words: string[]) {
  const http = await freePort();
  const registrator = new Registrator(['--hostname', 'node1', ...words, `memory://127.0.0.1:${http}?dns=off`], {
    host: docker29.host,
  });
  await registrator.waitForLog('looked at every container');
  const instances = async () => {
    const answer = (await (await fetch(`http://127.0.0.1:${http}/v1/health/service/web`)).json()) as Instance[];
    return answer.map(({ Service: { Address, Port }, Checks }) => ({
      at: `${Address}:${Port}`,
      health: Checks.some(({ Status }) => Status === 'critical') ? 'critical' : 'passing',
    }));
  };
  const holds = (...expected: object[]) => eventuallyPasses(async () => expect(await instances()).toEqual(expected));
  return { registrator, holds, [Symbol.asyncDispose]: () => registrator[Symbol.asyncDispose]() };
}

describe('with Docker 29', () => {
  it('a container lives its whole life: start, health, pause, stop', async () => {
    await using running = await start('--ip', '10.9.8.7');
    const { registrator, holds } = running;
    await engine.run('-p', '8080:80', '--name', 'aa', 'web');
    await holds({ at: '10.9.8.7:8080', health: 'critical' });
    await engine.docker('exec', 'aa', 'touch', '/well');
    await holds({ at: '10.9.8.7:8080', health: 'passing' });
    await engine.docker('pause', 'aa');
    await holds({ at: '10.9.8.7:8080', health: 'critical' });
    await engine.docker('unpause', 'aa');
    await holds({ at: '10.9.8.7:8080', health: 'passing' });
    const stopped = engine.docker('stop', 'aa');
    await registrator.waitForLog(({ container, msg = '' }) => container === 'aa' && /was told to stop/.test(msg));
    await holds();
    expect((await engine.inspect('aa')).State.Running).toBe(true);
    await stopped;
    await engine.docker('rename', 'aa', 'bb');
    await engine.docker('start', 'bb');
    await registrator.waitForLog(({ container, msg }) => container === 'bb' && msg === 'registered');
    expect(await registrator.stop()).toBe(0);
  });

  it('--internal takes the address of the bridge from the list of networks, and of networks as they come and go', async () => {
    await using running = await start('--internal');
    await engine.run('--name', 'aa', 'web');
    const { Networks } = (await engine.inspect('aa')).NetworkSettings;
    await running.holds({ at: `${Networks?.bridge?.IPAddress}:80`, health: 'critical' });
    await engine.createNetwork('back', '--subnet', '10.77.0.0/24');
    await engine.docker('network', 'connect', '--ip', '10.77.0.9', 'back', 'aa');
    await running.holds({ at: `${Networks?.bridge?.IPAddress}:80`, health: 'critical' });
    await engine.docker('network', 'disconnect', 'bridge', 'aa');
    await running.holds({ at: '10.77.0.9:80', health: 'critical' });
    await engine.docker('rm', '-f', 'aa');
    await engine.docker('network', 'rm', 'back');
    await running.holds();
  });

  it('what changed while the engine was away is caught up', async () => {
    await using running = await start('--ip', '10.9.8.7');
    await engine.run('-p', '8080:80', '--name', 'aa', 'web');
    await running.holds({ at: '10.9.8.7:8080', health: 'critical' });
    await engine.stop();
    await running.registrator.waitForLog(/Docker does not answer/);
    await engine.start();
    await running.registrator.waitForLog(/Docker answers again/);
    await running.holds();
    await engine.docker('start', 'aa');
    await running.holds({ at: '10.9.8.7:8080', health: 'critical' });
  });

  it.each(['application/json', 'application/x-ndjson', 'application/jsonl', 'application/json-seq'] as const)(
    'events are read as %s',
    async (mediaType) => {
      docker29.eventsMediaType = mediaType;
      const host = new DockerHost(dockerConnection({ DOCKER_HOST: docker29.host }));
      const ended = new AbortController();
      try {
        const events = await host.events(undefined, AbortSignal.any([ended.signal, AbortSignal.timeout(20_000)]));
        const id = await engine.run('web');
        const first = await events[Symbol.asyncIterator]().next();
        expect(first.value).toMatchObject({ containerId: id });
      } finally {
        ended.abort();
        host.close();
        docker29.eventsMediaType = undefined;
      }
    },
  );

  it("check speaks 1.52, and DOCKER_API_VERSION below 1.44 is refused in the engine's words", async () => {
    docker29.versionsAsked.clear();
    await engine.run('-p', '8080:80', '--name', 'aa', 'web');
    const { code, stdout } = await runRegistrator(['check', '--ip', '10.9.8.7', 'aa'], { host: docker29.host });
    expect(code).toBe(0);
    expect(stdout).toContain('10.9.8.7:8080');
    expect([...docker29.versionsAsked].sort()).toEqual(['', '1.52']);
    const old = new DockerHost(dockerConnection({ DOCKER_HOST: docker29.host, DOCKER_API_VERSION: '1.43' }));
    await expect(old.list(false, signal)).rejects.toThrow(
      'client version 1.43 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version',
    );
    old.close();
  });
});
