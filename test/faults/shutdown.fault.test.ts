import { describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { FaultProxy } from '../support/proxy.ts';
import { RecordingConsul } from '../support/recorder.ts';
import type { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { storm } from '../support/simulated-storm.ts';
import { idsOf, logged, soon, start } from './support.ts';

const LIMIT = 10_000;
const NOWHERE = 'unix:///nowhere/docker.sock';

/** SIGTERM ends it with 0 in time. */
async function stopsInTime(registrator: Registrator): Promise<void> {
  const begin = performance.now();
  const code = await registrator.stop();
  expect([code, registrator.stderr]).toEqual([0, '']);
  expect(performance.now() - begin).toBeLessThan(LIMIT);
  expect(registrator.lines.at(-1)?.msg).toBe('registrator has stopped');
}

async function running(words: readonly string[] = []) {
  const docker = await new SimulatedDocker().up();
  const consul = await new RecordingConsul().start();
  const proxy = await new FaultProxy(consul.port).start();
  docker.fill(50, { ports: 1 });
  const registrator = start(docker.host, [...words, `consul://${proxy.address}`]);
  await soon(async () => expect(await idsOf(consul)).toHaveLength(50));
  return {
    ...{ docker, consul, proxy, registrator },
    async [Symbol.asyncDispose]() {
      docker.resume();
      await registrator[Symbol.asyncDispose]();
      await proxy.stop();
      await consul.stop();
      await docker[Symbol.asyncDispose]();
    },
  };
}

describe.concurrent('SIGTERM ends registrator within 10 s and with exit code 0', () => {
  it('while Docker was never there', async () => {
    await using consul = await new RecordingConsul().start();
    await using registrator = start(NOWHERE, [`consul://${consul.address}`]);
    await logged(registrator, 'Docker does not answer');
    await stopsInTime(registrator);
  });

  it('while Docker went away', async () => {
    await using it = await running();
    await it.docker.down();
    await logged(it.registrator, 'Docker does not answer');
    await stopsInTime(it.registrator);
  });

  it('while Docker has hung from the start', async () => {
    await using docker = await new SimulatedDocker().up();
    docker.stall();
    await using registrator = start(docker.host, ['consul://127.0.0.1:9']);
    await soon(() => expect(docker.requests.size).toBeGreaterThan(0));
    await stopsInTime(registrator);
    docker.resume();
  });

  it('while Docker hangs, inspections under way', async () => {
    await using it = await running();
    it.docker.inspectFault = () => ({ kind: 'hang' });
    for (const id of it.docker.containers) it.docker.restart(id);
    await soon(() => expect(it.docker.inspections.size).toBeGreaterThan(10));
    it.docker.stall();
    await stopsInTime(it.registrator);
  });

  it('while the registry was never there', async () => {
    await using docker = await new SimulatedDocker().up();
    docker.fill(50);
    await using registrator = start(docker.host, ['consul://127.0.0.1:9']);
    await logged(registrator, 'the registry does not answer');
    await stopsInTime(registrator);
  });

  it.each([[[]], [['--deregister-on-exit']]])('while the registry went away %j', async (words) => {
    await using it = await running(words);
    await it.proxy.stop();
    it.docker.fill(50);
    await logged(it.registrator, 'the registry does not answer');
    await stopsInTime(it.registrator);
  });

  it('while the registry has hung from the start', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    await using proxy = await new FaultProxy(consul.port).start();
    proxy.stall();
    docker.fill(50);
    await using registrator = start(docker.host, [`consul://${proxy.address}`]);
    await soon(() => expect(proxy.open).toBeGreaterThan(0));
    await stopsInTime(registrator);
  });

  it.each([[[]], [['--deregister-on-exit']]])('while the registry hangs, writes under way %j', async (words) => {
    await using it = await running(words);
    it.proxy.stall();
    it.docker.fill(50);
    await soon(() => expect(it.docker.inspections.size).toBeGreaterThan(90));
    await stopsInTime(it.registrator);
  });

  it('while etcd hangs with leases to keep', async () => {
    await using docker = await new SimulatedDocker().up();
    await using etcd = await new EtcdServer().start();
    docker.fill(10);
    await using registrator = start(docker.host, ['-ttl', '3', `etcd://${etcd.address}/s`]);
    await soon(async () => expect((await etcd.list('/s/')).size).toBe(20));
    etcd.pause();
    docker.fill(10);
    await stopsInTime(registrator);
    etcd.resume();
  });

  it.each([[[]], [['--deregister-on-exit']]])(
    'in a storm of starts and stops, with a slow registry %j',
    async (words) => {
      await using it = await running(words);
      it.proxy.delayMs = 50;
      const over = storm(it.docker, it.docker.containers, { perSecond: 300, seconds: 4 });
      await soon(() => expect(it.consul.puts.length).toBeGreaterThan(80));
      await stopsInTime(it.registrator);
      await over;
    },
  );

  it('in the middle of the first 500 registrations, with a real Consul', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new ConsulServer().start();
    docker.fill(500);
    await using registrator = start(docker.host, [`consul://${consul.address}`]);
    await soon(async () => expect((await idsOf(consul)).length).toBeGreaterThan(20), { everyMs: 5 });
    await stopsInTime(registrator);
  });
});

describe.concurrent('a second SIGTERM ends it at once', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s, while the registry hangs', async (signal) => {
    await using it = await running(['--deregister-on-exit']);
    it.proxy.stall();
    it.docker.fill(50);
    await soon(() => expect(it.docker.inspections.size).toBeGreaterThan(90));
    it.registrator.kill('SIGTERM');
    await logged(it.registrator, 'stopping');
    const begin = performance.now();
    expect(await it.registrator.stop(signal)).toBe(1);
    expect(performance.now() - begin).toBeLessThan(500);
  });
});
