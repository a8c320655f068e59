import { describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { holds } from '../support/eventually.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { idsOf, logged, shim, soon, start } from './support.ts';

const HOUR = 3_600_000;
const publish = { '80/tcp': 0 };

describe.concurrent('the clock jumps by an hour', () => {
  it("registrator's own, ahead and back: nothing is written for it, and events are acted on at once", async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    docker.run({ name: 'aa', publish });
    docker.run({ name: 'bb', publish, healthcheck: true });
    await using registrator = start(docker.host, ['-resync', '1', `consul://${consul.address}`], shim('clock'));
    await soon(async () => expect(await idsOf(consul)).toHaveLength(2));
    for (const [direction, name] of [
      ['ahead', 'cc'],
      ['back', 'dd'],
    ] as const) {
      const before = consul.puts.length;
      const jumps = registrator.lines.length;
      registrator.kill('SIGUSR2');
      await logged(registrator, (line) => registrator.lines.indexOf(line) >= jumps && line.msg === 'the clock jumps');
      const written = () => consul.puts.slice(before).filter(({ path }) => !path.startsWith('/v1/agent/check/update/'));
      await holds(() => expect(written(), direction).toEqual([]), 2_500);
      docker.run({ name, publish });
      await soon(async () => expect(await idsOf(consul)).toContain(`simulated:${name}:80`));
    }
    expect(registrator.lines.filter(({ level }) => level === 'warn')).toEqual([]);
    expect(await registrator.stop()).toBe(0);
  });

  it('with --ttl: leases are kept alive all the time', async () => {
    await using docker = await new SimulatedDocker().up();
    await using etcd = await new EtcdServer().start();
    docker.run({ name: 'aa', publish });
    const words = ['-ttl', '3', '-resync', '1', `etcd://${etcd.address}/s`];
    await using registrator = start(docker.host, words, shim('clock'));
    const keys = async () => [...(await etcd.list('/s/')).keys()];
    await soon(async () => expect(await keys()).toEqual(['/s/web/simulated:aa:80']));
    registrator.kill('SIGUSR2');
    await holds(async () => expect(await keys()).toHaveLength(1), 4_500, 100);
    registrator.kill('SIGUSR2');
    await holds(async () => expect(await keys()).toHaveLength(1), 4_500, 100);
    docker.remove('aa');
    await soon(async () => expect(await keys()).toEqual([]));
    expect(await registrator.stop()).toBe(0);
  });

  it("the Docker host's, ahead and back, with its event stream cut each time: no event is missed", async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new ConsulServer().start();
    await using registrator = start(docker.host, ['-resync', '0', `consul://${consul.address}`]);
    await logged(registrator, 'looked at every container');
    const expected: string[] = [];
    for (const [n, offset] of [HOUR, 0, -HOUR, 0].entries()) {
      docker.clockOffset = offset;
      docker.run({ name: `before-${n}`, publish });
      docker.cutStreams();
      docker.run({ name: `after-${n}`, publish });
      expected.push(`simulated:before-${n}:80`, `simulated:after-${n}:80`);
      await soon(async () => expect(await idsOf(consul)).toEqual(expected.toSorted()));
    }
    expect(await registrator.stop()).toBe(0);
  });
});
