import { setTimeout as delay } from 'node:timers/promises';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, MiB, median, type Outcome, type Point } from '../measure.ts';
import { Subject } from '../subject.ts';

const MOST = 120 * 2 ** 20;
/** Milliseconds after the cold start, in which V8 gives back what that took; it is in no hurry. */
const SETTLE = 20_000;
/** Milliseconds that are looked at then: one resync is among them. */
const WATCHED = 60_000;

/** How memory grows with the number of containers; the cold start's time and CPU beside it, for the plot. */
export async function memory({ program, containers, say }: BenchOptions): Promise<Outcome> {
  const points: Point[] = [];
  const sizes = [0, containers / 10, containers / 2, containers];
  const rss: number[] = [];
  let peak = 0;
  for (const size of sizes) {
    await using docker = await new SimulatedDockerProcess().start();
    await docker.call('fill', size);
    await using consul = await new RecordingConsul().start();
    await using subject = new Subject(program, ['--ip', '127.0.0.1', `consul://${consul.address}`], {
      host: docker.host,
      probed: true,
    });
    const taken = size === 0 ? await idle(subject) : await subject.untilRegistered(2 * size);
    const { cpu } = await subject.vitals();
    await delay(SETTLE);
    const samples: number[] = [];
    for (let n = 0; n < WATCHED / 1_000; n++) {
      samples.push((await subject.vitals()).rss);
      await delay(1_000);
    }
    const usual = median(samples);
    rss.push(usual);
    peak = (await subject.vitals()).maxRss;
    say(`memory: ${size} containers ${MiB(usual)}, at most ${MiB(peak)}`);
    points.push({ series: 'memory (RSS), MiB', containers: size, value: usual / 2 ** 20 });
    points.push({ series: 'CPU of the cold start, s', containers: size, value: cpu / 1_000 });
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
        note: `RSS, median of a minute with a resync, ${SETTLE / 1_000} s after the cold start, in which it was ${MiB(peak)}. ${each}`,
      },
    ],
  };
}

async function idle(subject: Subject): Promise<number> {
  await subject.line('looked at every container');
  return performance.now() - subject.startedAt;
}
