import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { importGoldenImages } from '../support/images.ts';
import { FaultProxy } from '../support/proxy.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';

let engine: DockerEngine;
let consul: ConsulServer;
beforeAll(async () => {
  // Nothing here connects to what containers publish; alone, Docker finds the ports free again when it restarts.
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await importGoldenImages(engine);
  consul = await new ConsulServer().start();
});
afterAll(async () => {
  await consul.dispose();
  await engine.dispose();
});
beforeEach(() => () => engine.removeContainers());

const held = async () => Object.keys(await consul.api<Record<string, unknown>>('GET', '/v1/agent/services')).sort();
const start = (...words: string[]) =>
  new Registrator(['-ip', '10.9.8.7', '--hostname', 'node1', ...words], { host: engine.host });
const toConsul = () => start(`consul://${consul.address}`);

describe('registrator converges', () => {
  it('when Docker is restarted under it', async () => {
    await using _ = toConsul();
    await engine.run('-P', '--name', 'aa', '--restart', 'always', 'redis');
    await engine.run('-P', '--name', 'bb', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379', 'node1:bb:6379']));
    await engine.restart();
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']), { deadlineMs: 20_000 });
    await engine.run('-P', '--name', 'cc', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379', 'node1:cc:6379']));
  });

  it('when the event stream is cut and containers come and go meanwhile', async () => {
    await using proxy = await new FaultProxy(engine.socket).start();
    await using registrator = new Registrator(
      ['-ip', '10.9.8.7', '--hostname', 'node1', `consul://${consul.address}`],
      {
        host: `tcp://${proxy.address}`,
      },
    );
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await proxy.stop();
    await registrator.waitForLog('Docker does not answer');
    await engine.docker('rm', '-f', 'aa');
    await engine.run('-P', '--name', 'bb', 'redis');
    await proxy.start();
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bb:6379']));
  });

  it('when Consul is restarted with an empty data directory, and says so', async () => {
    await using registrator = toConsul();
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await consul.restart({ emptyData: true });
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await registrator.waitForLog('1 services of this host were gone from the registry; registering them again');
  });

  it('when Consul was away for a while, and says so once each way', async () => {
    await using registrator = toConsul();
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await consul.stop();
    await engine.run('-P', '--name', 'bb', 'redis');
    await registrator.waitForLog('the registry does not answer');
    await engine.docker('rm', '-f', 'aa');
    await sleep(1_000);
    await consul.start();
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bb:6379']), { deadlineMs: 20_000 });
    await registrator.waitForLog('the registry answers again');
    const away = registrator.lines.filter(({ msg }) => msg?.includes('the registry does not answer'));
    expect(away).toHaveLength(1);
  });

  it('after kill -9: no duplicate, nothing stale, and nothing of others touched', async () => {
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'operators', Name: 'x' });
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'node2:aa:6379', Name: 'redis' });
    const first = toConsul();
    await engine.run('-P', '--name', 'aa', 'redis');
    await engine.run('-P', '--name', 'bb', '-e', 'SERVICE_ID=own-id', 'redis');
    await eventuallyPasses(async () =>
      expect(await held()).toEqual(['node1:aa:6379', 'node2:aa:6379', 'operators', 'own-id']),
    );
    await first.stop('SIGKILL');
    await engine.docker('rm', '-f', 'bb');
    await engine.run('-P', '--name', 'cc', 'redis');
    await using _second = toConsul();
    await eventuallyPasses(async () =>
      expect(await held()).toEqual(['node1:aa:6379', 'node1:cc:6379', 'node2:aa:6379', 'operators']),
    );
    for (const id of ['operators', 'node2:aa:6379']) await consul.api('PUT', `/v1/agent/service/deregister/${id}`);
  });
});

describe('registrator', () => {
  it('asks who has the ID, makes one register call for one container, and writes nothing on a restart when all is right', async () => {
    await using recorder = await new RecordingConsul().start();
    const first = start('--log-level', 'debug', `consul://${recorder.address}`);
    await first.waitForLog('looked at every container');
    await eventuallyPasses(() => expect(recorder.requests).toContain('GET /v1/agent/checks'));
    const before = recorder.requests.length;
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(() => expect(recorder.registrations).toHaveLength(1));
    expect(recorder.requests.slice(before)).toEqual([
      'GET /v1/agent/service/node1%3Aaa%3A6379',
      'PUT /v1/agent/service/register',
    ]);
    await first.stop();
    await using second = start('-resync', '1', `consul://${recorder.address}`);
    await second.waitForLog('looked at every container');
    await holds(() => expect(recorder.puts).toHaveLength(1), 2_500);
  });

  it('keeps services when it is stopped, and removes them with --deregister-on-exit', async () => {
    await engine.run('-P', '--name', 'aa', 'redis');
    const first = toConsul();
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    expect(await first.stop()).toBe(0);
    expect(await held()).toEqual(['node1:aa:6379']);
    const second = start('--deregister-on-exit', `consul://${consul.address}`);
    await second.waitForLog('looked at every container');
    expect(await second.stop()).toBe(0);
    expect(await held()).toEqual([]);
  });

  it('-deregister on-success keeps what failed, across a restart too, until the container is removed', async () => {
    const args = ['-deregister', 'on-success', `consul://${consul.address}`];
    const first = start(...args);
    await engine.run('-P', '--name', 'good', 'redis');
    await engine.run('-P', '--name', 'bad', 'redis', 'sh', '-c', 'sleep 2; exit 3');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bad:6379', 'node1:good:6379']));
    await first.waitForLog('the container failed: its services stay');
    await engine.docker('stop', 'good');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bad:6379']));
    await first.stop();
    await using second = start(...args);
    await second.waitForLog('looked at every container');
    await holds(async () => expect(await held()).toEqual(['node1:bad:6379']), 500);
    await engine.docker('rm', 'bad');
    await eventuallyPasses(async () => expect(await held()).toEqual([]));
  });

  it('-deregister on-success with -ttl removes what failed when that has run out', async () => {
    await using registrator = start('-deregister', 'on-success', '-ttl', '3', `consul://${consul.address}`);
    await registrator.waitForLog('looked at every container');
    await engine.run('-P', '--name', 'bad', 'redis', 'sh', '-c', 'sleep 1; exit 3');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bad:6379']));
    await sleep(2_000);
    expect(await held()).toEqual(['node1:bad:6379']);
    await eventuallyPasses(async () => expect(await held()).toEqual([]));
  });

  it('follows docker rename', async () => {
    await using _registrator = toConsul();
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await engine.docker('rename', 'aa', 'bb');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:bb:6379']));
  });

  it('serves several registries, one of which is away', async () => {
    await using registrator = start('consul://127.0.0.1:1', `consul://${consul.address}`);
    await engine.run('-P', '--name', 'aa', 'redis');
    await eventuallyPasses(async () => expect(await held()).toEqual(['node1:aa:6379']));
    await registrator.waitForLog(
      ({ registry, msg }) => registry === 'consul://127.0.0.1:1' && /does not answer/.test(msg ?? ''),
    );
    expect(await registrator.stop()).toBe(0);
  });
});
