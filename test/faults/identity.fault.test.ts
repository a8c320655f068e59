import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { holds } from '../support/eventually.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { idsOf, logged, soon, start } from './support.ts';

const isDispute = ({ msg }: { readonly msg?: string }) =>
  /^(somebody else writes entries|what was removed as stale came back)/.test(msg ?? '');

const isLoss = ({ msg }: { readonly msg?: string }) => msg?.includes('were gone from the registry') ?? false;

describe.concurrent('two registrators on one host, as in an upgrade', () => {
  it('of the same settings: the second writes nothing, and takes over when the first stops', async () => {
    await using consul = await new RecordingConsul().start();
    await using docker = await new SimulatedDocker().up();
    docker.fill(50, { ports: 1 });
    const words = ['-resync', '1', `consul://${consul.address}`];
    await using first = start(docker.host, words);
    await soon(async () => expect(await idsOf(consul)).toHaveLength(50));
    const before = consul.puts.length;
    await using second = start(docker.host, words);
    await logged(second, 'looked at every container');
    await holds(() => expect(consul.puts.slice(before)).toEqual([]), 3_500);
    // Both see each event: at most each writes once, the same.
    docker.fill(1, { ports: 1 });
    await soon(async () => expect(await idsOf(consul)).toHaveLength(51));
    docker.remove('app-1');
    await soon(async () => expect(await idsOf(consul)).toHaveLength(50));
    await holds(() => expect(consul.puts.slice(before).length).toBeLessThanOrEqual(4), 2_500);
    expect(await first.stop()).toBe(0);
    await holds(async () => expect(await idsOf(consul)).toHaveLength(50), 1_000);
    docker.remove('app-2');
    await soon(async () => expect(await idsOf(consul)).toHaveLength(49));
    expect([...first.lines, ...second.lines].filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it.each([
    ['another --ip', ['-ip', '10.9.8.8']],
    ['--explicit, by which it wants no service at all', ['-explicit']],
  ])('the second with %s: settles, nothing is gone in the end, and each warns once', async (_, other) => {
    await using consul = await new RecordingConsul().start();
    await using docker = await new SimulatedDocker().up();
    docker.fill(10, { ports: 1 });
    const words = ['-resync', '1', `consul://${consul.address}`];
    await using first = start(docker.host, words);
    await soon(async () => expect(await idsOf(consul)).toHaveLength(10));
    await using second = start(docker.host, [...words, ...other]);
    await logged(second, 'looked at every container');
    await sleep(12_000);
    const before = consul.puts.length;
    await sleep(4_000);
    const rate = (consul.puts.length - before) / 10;
    expect(rate, 'writes an entry in 4 s, after 12 s').toBeLessThanOrEqual(2);
    await soon(async () => expect(await idsOf(consul)).toHaveLength(10));
    for (const { lines } of [first, second]) {
      const warnings = lines.filter(({ level }) => level === 'warn');
      expect(warnings.filter((line) => !isDispute(line) && !isLoss(line))).toEqual([]);
      expect(warnings.filter(isDispute).length).toBeLessThanOrEqual(1);
      expect(warnings.filter(isLoss).length).toBeLessThanOrEqual(1);
    }
    expect([...first.lines, ...second.lines].filter(isDispute)).not.toEqual([]);
    // Whoever is left is right in the end: a dispute's waits are long, a start is a new beginning.
    await second.stop();
    await first.stop();
    await using _third = start(docker.host, words);
    await soon(() =>
      expect([...consul.services.values()].map(({ Address }) => Address)).toEqual(Array(10).fill('10.9.8.7')),
    );
  });
});

describe.concurrent('the host is renamed: --hostname is another, the engine the same', () => {
  it('Consul: the old entries are out, the new ones in, and those of others stay', async () => {
    await using consul = await new ConsulServer().start();
    await using docker = await new SimulatedDocker().up();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    docker.run({ name: 'bb', publish: { '80/tcp': 0 }, labels: { SERVICE_ID: 'own' } });
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'old:zz:80', Name: 'operators' });
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'operators', Name: 'operators' });
    const first = start(docker.host, ['--hostname', 'old', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(['old:aa:80', 'operators', 'own']));
    expect(await first.stop()).toBe(0);
    await using _second = start(docker.host, ['--hostname', 'new', `consul://${consul.address}`]);
    await soon(async () => expect(await idsOf(consul)).toEqual(['new:aa:80', 'operators', 'own']));
  });

  // Keys of an ID that names its host carry no other mark: without --ttl those of the old name would stay.
  it('etcd, with --ttl: the old keys expire, and the new ones are in', async () => {
    await using etcd = await new EtcdServer().start();
    await using docker = await new SimulatedDocker().up();
    docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
    docker.run({ name: 'bb', publish: { '80/tcp': 0 }, labels: { SERVICE_ID: 'own' } });
    const keys = async () => [...(await etcd.list('/s/')).keys()];
    const first = start(docker.host, ['-ttl', '3', '--hostname', 'old', `etcd://${etcd.address}/s`]);
    await soon(async () => expect(await keys()).toEqual(['/s/web/old:aa:80', '/s/web/own']));
    expect(await first.stop()).toBe(0);
    await using _second = start(docker.host, ['-ttl', '3', '--hostname', 'new', `etcd://${etcd.address}/s`]);
    await soon(async () => expect(await keys()).toEqual(['/s/web/new:aa:80', '/s/web/own']));
  });
});
