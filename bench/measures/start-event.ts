import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DockerEngine } from '../../test/support/engine.ts';
import { eventually } from '../../test/support/eventually.ts';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { EventTimes } from '../event-times.ts';
import { type BenchOptions, comparison, median, ms, type Outcome, quantile } from '../measure.ts';
import { Subject } from '../subject.ts';

const follow = fileURLToPath(new URL('../floor/follow.ts', import.meta.url));
const WARM_UP = 3;

/** From the time that Docker writes on a container's start event to the arrival of its registration. */
export async function startEvent({ program, samples, rounds, say }: BenchOptions): Promise<Outcome> {
  await using engine = await new DockerEngine().start();
  await using consul = await new RecordingConsul().start();
  await using events = await new EventTimes().start(engine.socket);
  await engine.importImage('web:1');
  const container = await engine.docker('create', '--name', 'web', '-p', '80', 'web:1');
  const taken = { floor: [] as number[], registrator: [] as number[] };
  const each = Math.ceil(samples / rounds);

  async function sample(into: number[]): Promise<void> {
    for (let n = -WARM_UP; n < each; n++) {
      const before = consul.puts.length;
      await engine.docker('start', container);
      const put = await eventually(
        () => consul.puts.slice(before).find(({ path }) => path.startsWith('/v1/agent/service/register')),
        { everyMs: 2 },
      );
      const event = await events.of(container, 'start');
      if (n >= 0) into.push(performance.timeOrigin + put.at - event.dockerTime);
      await engine.docker('kill', container);
      await delay(100);
    }
  }

  for (let round = 1; round <= rounds; round++) {
    say(`start event: round ${round} of ${rounds}`);
    {
      await using floor = new Subject(follow, [engine.socket, String(consul.port)]);
      await floor.line('ready');
      await sample(taken.floor);
    }
    {
      await using subject = new Subject(program, ['--ip', '127.0.0.1', `consul://${consul.address}`], {
        host: engine.host,
      });
      await subject.line('looked at every container');
      await sample(taken.registrator);
    }
  }
  const note = `${taken.floor.length} starts a side in ${rounds} turns, real Docker, a recorder in Consul's place`;
  const row = (name: string, of: (values: readonly number[]) => number, most: number) =>
    comparison(`start event → registered, ${name}`, {
      ...{ floor: of(taken.floor), registrator: of(taken.registrator), most, unit: ms, note },
    });
  return { rows: [row('p50', median, 1.1), row('p99', (values) => quantile(values, 0.99), 1.3)] };
}
