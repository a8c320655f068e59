import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ContainerEvent,
  DockerHost,
  DockerWatcher,
  dockerConnection,
  type Listed,
} from '../../src/docker/index.ts';
import { createLogger } from '../../src/lib/log/index.ts';

import { makeCertificates } from '../support/certificates.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';

const { signal } = new AbortController();
const log = await createLogger('silent', 'json');
let engine: DockerEngine;
let docker: DockerHost;

beforeAll(async () => {
  engine = await new DockerEngine().start();
  await engine.importImage('redis:latest', { expose: [6379] });
  docker = new DockerHost(dockerConnection({ DOCKER_HOST: engine.host }));
});
afterAll(async () => {
  docker.close();
  await engine.dispose();
});

describe('a Docker engine', () => {
  it('tells its host name and an ID that stays', async () => {
    const info = await docker.info(signal);
    expect(info.id).toMatch(/./);
    await engine.restart();
    expect(await docker.info(signal)).toEqual(info);
  });

  it('shows a container, and undefined for one that is not there', async () => {
    const id = await engine.run('-P', '--name', 'shown', 'redis');
    expect(await docker.inspect(id, signal)).toMatchObject({ Id: id, Name: '/shown', Config: { Image: 'redis' } });
    expect(await docker.inspect('nonexistent', signal)).toBeUndefined();
    expect(await docker.inspect('a/../b?x=1', signal)).toBeUndefined();
    const snapshot = await docker.inspect(id, signal);
    expect(await docker.imageTags(snapshot?.Image ?? '', signal)).toEqual(['redis:latest']);
    expect(await docker.imageTags('sha256:gone', signal)).toEqual([]);
  });

  it('lists a container with the same fingerprint until something changes', async () => {
    const id = await engine.run('-p', '7001:6379', '-p', '7002:6379', '--name', 'listed', 'redis');
    const one = async () => (await docker.list(false, signal)).find((container) => container.id === id) as Listed;
    const first = await one();
    expect(first).toMatchObject({ name: 'listed', state: 'running' });
    for (let n = 0; n < 5; n += 1) expect(await one()).toEqual(first);
    await engine.docker('rename', 'listed', 'relisted');
    expect((await one()).fingerprint).not.toBe(first.fingerprint);
    await engine.docker('stop', 'relisted');
    // Docker 26 may have ended the command before its list knows.
    await eventuallyPasses(async () => expect(await one()).toBeUndefined());
    expect((await docker.list(true, signal)).find((container) => container.id === id)?.state).toBe('exited');
  });

  it('gives up on a call when told to', async () => {
    const controller = new AbortController();
    const call = docker.list(true, controller.signal);
    controller.abort(new Error('told to'));
    await expect(call).rejects.toThrow('told to');
  });

  it('answers over TLS with a client certificate', async () => {
    await using certificates = await makeCertificates();
    await using secured = await new DockerEngine({ tcp: certificates }).start();
    const env = {
      DOCKER_HOST: `tcp://127.0.0.1:${secured.tcpPort}`,
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: certificates.dir,
    };
    const remote = new DockerHost(dockerConnection(env));
    expect((await remote.info(signal)).id).toMatch(/./);
    remote.close();
  });
});

describe('the watcher', () => {
  it('hands on every kind of change, without those of health checks, and a listing first', async () => {
    const events: ContainerEvent[] = [];
    const listings: (readonly Listed[])[] = [];
    const handlers = {
      onEvent: (event: ContainerEvent) => void events.push(event),
      onListing: (containers: readonly Listed[]) => void listings.push(containers),
    };
    const watcher = new DockerWatcher(docker, { all: false, resyncMs: 0 }, handlers, log);
    const controller = new AbortController();
    const run = watcher.run(controller.signal);
    await eventuallyPasses(() => expect(listings).toHaveLength(1));
    const id = await engine.run('-P', '--name', 'watched', '--health-cmd', 'true', '--health-interval', '1s', 'redis');
    await engine.createNetwork('extra');
    for (const words of [
      ['pause', 'watched'],
      ['unpause', 'watched'],
      ['rename', 'watched', 'renamed'],
      ['network', 'connect', 'extra', 'renamed'],
      ['network', 'disconnect', 'extra', 'renamed'],
    ]) {
      await engine.docker(...words);
    }
    await eventuallyPasses(() => expect(events.map(({ action }) => action)).toContain('health_status: healthy'));
    await engine.docker('rm', '-f', 'renamed');
    await eventuallyPasses(() => expect(events.map(({ action }) => action)).toContain('destroy'));
    expect(new Set(events.map(({ containerId }) => containerId))).toEqual(new Set([id]));
    const actions = new Set(events.map(({ action }) => action));
    for (const action of ['start', 'pause', 'unpause', 'rename', 'connect', 'disconnect', 'die', 'destroy'])
      expect(actions).toContain(action);
    expect([...actions].filter((action) => action.startsWith('exec_'))).toEqual([]);
    controller.abort();
    await run;
  });

  it('lists again after the engine was killed, and again at each resync', async () => {
    const listings: unknown[] = [];
    const handlers = { onEvent: () => undefined, onListing: (containers: unknown) => void listings.push(containers) };
    const watcher = new DockerWatcher(docker, { all: false, resyncMs: 100 }, handlers, log);
    const controller = new AbortController();
    const run = watcher.run(controller.signal);
    await eventuallyPasses(() => expect(listings.length).toBeGreaterThan(3));
    const connections = watcher.connections;
    await engine.kill9();
    await eventuallyPasses(() => expect(watcher.connected).toBe(false));
    await engine.start();
    await eventuallyPasses(() => expect([watcher.connected, watcher.connections]).toEqual([true, connections + 1]));
    controller.abort();
    await run;
  });
});
