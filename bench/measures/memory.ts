import { setTimeout as delay } from 'node:timers/promises';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, MiB, type Outcome, type Point } from '../measure.ts';
import { Subject } from '../subject.ts';

const MOST = 120 * 2 ** 20;
/** Milliseconds between the last registration and the look. */
const SETTLE = 5_000;

/** How memory grows with the number of containers; the cold start's time and CPU beside it, for the plot. */
export async function memory({ program, containers, say }: BenchOptions): Promise<Outcome> {
  const points: Point[] = [];
  const sizes = [0, containers / 10, containers / 2, containers];
  const rss: number[] = [];
  for (const size of sizes) {
    await using docker = await new SimulatedDockerProcess().start();
    await docker.call('fill', size);
    await using consul = await new RecordingConsul().start();
    await using subject = new Subject(program, ['--ip', '127.0.0.1', `consul://${consul.address}`], {
      host: docker.host,
      probed: true,
    });
    const taken = size === 0 ? await idle(subject) : await subject.untilRegistered(2 * size);
    await delay(SETTLE);
    const vitals = await subject.vitals();
    rss.push(vitals.rss);
    say(`memory: ${size} containers ${MiB(vitals.rss)}`);
    points.push({ series: 'memory (RSS), MiB', containers: size, value: vitals.rss / 2 ** 20 });
    points.push({ series: 'CPU of the cold start, s', containers: size, value: vitals.cpu / 1_000 });
    if (size > 0) points.push({ series: 'cold start, s', containers: size, value: taken / 1_000 });
  }
  const [none = 0, , , all = 0] = rss;
  const each = sizes.map((size, n) => `${size}: ${MiB(rss[n] ?? 0)}`).join(', ');
  return {
    points,
    rows: [
      {
        measure: `memory of ${containers} containers × 2 ports`,
        reach: '≤ 120 MiB more than of none',
        reached: all - none <= MOST,
        registrator: `${MiB(all - none)} more`,
        note: `RSS ${SETTLE / 1_000} s after the cold start. ${each}`,
      },
    ],
  };
}

async function idle(subject: Subject): Promise<number> {
  await subject.line('looked at every container');
  return performance.now() - subject.startedAt;
}
