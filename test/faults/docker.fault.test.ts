import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DockerEngine } from '../support/engine.ts';
import { holds } from '../support/eventually.ts';
import { FaultProxy } from '../support/proxy.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { HalfOpenProxy } from './half-open.ts';
import { idsOf, logged, soon, start } from './support.ts';

describe.each([false, true])('a real engine, live-restore %s', (liveRestore) => {
  it.each(['restarted', 'killed with kill -9'])('is %s: entries are those of the containers that run', async (how) => {
    await using engine = await new DockerEngine({ liveRestore, ownNetwork: true }).start();
    await using consul = await new RecordingConsul().start();
    await engine.importImage('redis:latest', { expose: [6379] });
    for (const name of ['aa', 'bb']) await engine.run('-P', '--name', name, '--restart', 'always', 'redis');
    await engine.run('-P', '--name', 'cc', 'redis');
    await using registrator = start(engine.host, ['--hostname', 'n', '-resync', '5', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(['n:aa:6379', 'n:bb:6379', 'n:cc:6379']));
    const puts = consul.puts.length;

    if (how === 'restarted') await engine.stop();
    else await engine.kill9();
    await logged(registrator, 'Docker does not answer');
    // Containers that still run with live-restore are still served; what happened to the others nobody knows yet.
    if (liveRestore) await holds(async () => expect(await idsOf(consul)).toHaveLength(3), 500);
    await engine.start();
    await logged(registrator, 'Docker answers again');

    await soon(async () => {
      const running = (await engine.docker('ps', '--format', '{{.Names}}')).split('\n').sort();
      expect(running).toEqual(liveRestore ? ['aa', 'bb', 'cc'] : ['aa', 'bb']);
      expect(await idsOf(consul)).toEqual(running.map((name) => `n:${name}:6379`));
      for (const name of running) {
        const port = await engine.hostPort(name, '6379/tcp');
        expect(consul.services.get(`n:${name}:6379`)).toMatchObject({ Address: '10.9.8.7', Port: port });
      }
    });
    if (liveRestore) expect(consul.puts.length - puts, 'writes for containers that never stopped').toBe(0);

    await engine.run('-P', '--name', 'dd', 'redis');
    await engine.docker('rename', 'aa', 'ee');
    await soon(async () => {
      expect(await idsOf(consul)).toEqual(expect.arrayContaining(['n:dd:6379', 'n:ee:6379']));
      expect(await idsOf(consul)).not.toContain('n:aa:6379');
    });
    expect(await registrator.stop()).toBe(0);
  });
});

describe.concurrent('the way to Docker', () => {
  it('the socket is removed under open connections, and made again', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    const path = join(docker.socket, '..', 'seen.sock');
    await using proxy = await new FaultProxy(docker.socket, path).start();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    const words = ['-resync', '1', `consul://${consul.address}`];
    await using registrator = start(`unix://${path}`, words);
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:aa:80']));
    // The event stream stays; nothing new can be opened.
    await rm(path);
    docker.run({ name: 'bb', publish: { '80/tcp': 0 } });
    await holds(async () => expect(await idsOf(consul)).toContain('simulated:aa:80'), 1_500);
    docker.remove('aa');
    await proxy.stop();
    await logged(registrator, 'Docker does not answer');
    await proxy.start();
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:bb:80']));
    await logged(registrator, 'Docker answers again');
    expect(await registrator.stop()).toBe(0);
  });

  it('connections are stranded without being closed (half-open): noticed after 30 s of silence', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    await using proxy = await new HalfOpenProxy(docker.socket).start();
    for (let n = 0; n < 20; n += 1) docker.run({ name: `c${n}`, publish: { '80/tcp': 0 } });
    await using registrator = start(`tcp://${proxy.address}`, [`consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toHaveLength(20));
    // The event stream and connections that inspections left open.
    expect(proxy.open).toBeGreaterThan(4);
    proxy.strand();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    for (let n = 0; n < 20; n += 1) docker.remove(`c${n}`);
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:aa:80']), {
      deadlineMs: 45_000,
    });
    expect(await registrator.stop()).toBe(0);
  });

  it('an event is lost, and the next listing looks like the last one: the next resync mends it all the same', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    await using registrator = start(docker.host, ['-resync', '2', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:aa:80']));
    const maintenance = () => consul.requests.filter((request) => request.includes('/maintenance/')).at(-1);
    const afterListing = docker.requests.get('GET /containers/json') ?? 0;
    await soon(() => expect(docker.requests.get('GET /containers/json')).toBeGreaterThan(afterListing));
    docker.pause('aa');
    await soon(() => expect(maintenance()).toContain('enable=true'), { everyMs: 5 });
    docker.eventFaults = { drop: 1 };
    docker.unpause('aa');
    await soon(() => expect(maintenance()).toContain('enable=false'));
    expect(await registrator.stop()).toBe(0);
  });

  it('a proxy stalls and goes on (Docker hangs for 3 s): nothing changes meanwhile, and nothing is lost', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    await using proxy = await new FaultProxy(docker.socket).start();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    await using registrator = start(`tcp://${proxy.address}`, ['-resync', '1', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:aa:80']));
    proxy.stall();
    docker.run({ name: 'bb', publish: { '80/tcp': 0 } });
    docker.remove('aa');
    await holds(async () => expect(await idsOf(consul)).toEqual(['simulated:aa:80']), 3_000);
    proxy.resume();
    await soon(async () => expect(await idsOf(consul)).toEqual(['simulated:bb:80']));
    expect(await registrator.stop()).toBe(0);
  });
});
