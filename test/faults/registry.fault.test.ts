import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { holds } from '../support/eventually.ts';
import { FaultProxy } from '../support/proxy.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { SimulatedDockerProcess } from '../support/simulated-docker-process.ts';
import { idsOf, logged, soon, start } from './support.ts';

const named = (names: Iterable<number>) => [...names].map((n) => `simulated:app-${n}:8000`).sort();
const range = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

describe.concurrent.each([
  ['keeping its data', false],
  ['losing its data', true],
])('Consul is killed with kill -9 in the middle of 400 registrations, %s', (_, emptyData) => {
  it('holds each of them once when it is back', async () => {
    await using consul = await new ConsulServer().start();
    await using docker = await new SimulatedDocker().up();
    docker.fill(400, { ports: 1 });
    await using registrator = start(docker.host, [`consul://${consul.address}`]);
    await soon(async () => expect((await idsOf(consul)).length).toBeGreaterThan(20), { everyMs: 5 });
    await consul.kill9();
    if (emptyData) consul.emptyData();
    docker.remove('app-1');
    docker.fill(1, { ports: 1 });
    await logged(registrator, 'the registry does not answer');
    await consul.start();
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(401).slice(1))));
    const away = registrator.lines.filter(({ msg }) => msg?.includes('the registry does not answer'));
    expect(away).toHaveLength(1);
    expect(await registrator.stop()).toBe(0);
  });
});

describe('500 containers are started and stopped (simulated, a minute of it in 6 seconds)', () => {
  it('Consul holds those that run at the end, and no entry is written in vain', async () => {
    await using consul = await new ConsulServer().start();
    await using proxy = await new FaultProxy(consul.httpPort).start();
    await using docker = await new SimulatedDocker().up();
    await using registrator = start(docker.host, [`consul://${proxy.address}`]);
    await logged(registrator, 'looked at every container');
    const ids: string[] = [];
    for (let n = 0; n < 500; n += 1) {
      ids.push(docker.run({ name: `app-${n + 1}`, publish: { '8000/tcp': 0 } }));
      // Each lives for a second; every tenth goes on.
      const old = n - 83;
      if (old >= 0 && old % 10 !== 0) docker.stop(ids[old] ?? '');
      await sleep(12);
    }
    for (let n = 417; n < 500; n += 1) if (n % 10 !== 0) docker.stop(ids[n] ?? '');
    const left = range(500).filter((n) => (n - 1) % 10 === 0);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(left)));
    const writes = registrator.lines.filter(({ msg }) => msg === 'registered' || msg === 'deregistered').length;
    expect(writes).toBeLessThanOrEqual(500 + 450);
    expect(registrator.lines.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(await registrator.stop()).toBe(0);
  });

  it('at 160 starts and stops a second of the same 500, with Consul restarted meanwhile', async () => {
    await using consul = await new ConsulServer().start();
    await using docker = await new SimulatedDockerProcess().start();
    const containers = await docker.call('fill', 500, { ports: 1 });
    await using registrator = start(docker.host, [`consul://${consul.address}`]);
    const storm = docker.storm(containers, { perSecond: 160, seconds: 6 });
    await sleep(2_000);
    await consul.restart();
    expect((await storm).actions).toBeGreaterThanOrEqual(960);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(500))));
    expect(await registrator.stop()).toBe(0);
  });
});

describe.concurrent('the registry answers 500, as with a full disk', () => {
  it('to some services: the others are registered at once, and these when it is over', async () => {
    await using consul = await new RecordingConsul().start();
    await using docker = await new SimulatedDocker().up();
    let full = true;
    consul.intercept = (method, path, body) =>
      full && method === 'PUT' && path.includes('/register') && /app-[1-5]:/.test(String((body as { ID: string }).ID))
        ? { status: 500, body: 'write data: no space left on device' }
        : undefined;
    await using registrator = start(docker.host, [`consul://${consul.address}`]);
    await logged(registrator, 'looked at every container');
    docker.fill(50, { ports: 1 });
    const others = range(50).slice(5);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(others)));
    await sleep(3_000);
    const tries = consul.registrations.filter(({ ID }) => /app-[1-5]:/.test(String(ID))).length;
    expect(tries, 'tries of five services in over 3 s').toBeLessThanOrEqual(5 * 7);
    const told = registrator.lines.filter(({ level }) => level === 'warn');
    expect(told).toHaveLength(5);
    expect(told[0]?.err).toContain('no space left on device');
    full = false;
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(50))));
    expect(await registrator.stop()).toBe(0);
  });

  it('to everything, reading too: said once, and caught up with when it is over', async () => {
    await using consul = await new RecordingConsul().start();
    await using docker = await new SimulatedDocker().up();
    docker.fill(20, { ports: 1 });
    await using registrator = start(docker.host, ['-resync', '1', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(20))));
    const before = consul.requests.length;
    consul.intercept = () => ({ status: 500, body: 'no space left on device' });
    docker.remove('app-1');
    docker.fill(1, { ports: 1 });
    await sleep(5_000);
    const requests = consul.requests.length - before;
    consul.intercept = undefined;
    expect(requests, 'requests in 5 s to a registry that is sick').toBeLessThan(50);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(21).slice(1))));
    const told = registrator.lines.filter(({ msg }) => msg?.includes('the registry does not answer'));
    expect(told.length).toBeLessThanOrEqual(1);
    expect(await registrator.stop()).toBe(0);
  });
});

describe.concurrent('a registry that hangs without closing its connections', () => {
  it('for longer than a request may take: caught up with when it goes on', async () => {
    await using consul = await new ConsulServer().start();
    await using docker = await new SimulatedDocker().up();
    docker.fill(20, { ports: 1 });
    await using registrator = start(docker.host, ['-resync', '2', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(20))));
    consul.pause();
    docker.remove('app-1');
    docker.fill(1, { ports: 1 });
    // By then requests have timed out, and what they asked for may still be done when Consul goes on.
    await sleep(12_000);
    consul.resume();
    await soon(async () => expect(await idsOf(consul)).toEqual(named(range(21).slice(1))));
    await holds(async () => expect(await idsOf(consul)).toEqual(named(range(21).slice(1))), 1_000);
    expect(await registrator.stop()).toBe(0);
  });
});
