import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../test/support/eventually.ts';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, MiB, ms, type Outcome } from '../measure.ts';
import { Subject } from '../subject.ts';

const PER_SECOND = 1_000;
const CONTAINERS = 1_000;
/** Milliseconds within which a registrator that kept up has nothing left to do. */
const PROMPT = 1_000;

/** What memory may grow by in the second half of a storm, in bytes: V8 takes and gives back a little all the time. */
const BOUNDED = 32 * 2 ** 20;

/** Many containers stop and start all the time: does registrator keep up, and stay responsive and small? */
export async function eventStorm({ program, stormSeconds, say }: BenchOptions): Promise<Outcome> {
  await using docker = await new SimulatedDockerProcess().start();
  const ids = await docker.call('fill', CONTAINERS, { ports: 1 });
  await using consul = await new RecordingConsul().start();
  await using subject = new Subject(program, ['--ip', '127.0.0.1', `consul://${consul.address}`], {
    host: docker.host,
    probed: true,
  });
  await subject.untilRegistered(CONTAINERS);
  await delay(1_000);
  const before = await subject.vitals(true);
  say(`event storm: ${PER_SECOND} starts and stops a second for ${stormSeconds} s`);
  const half = { perSecond: PER_SECOND, seconds: stormSeconds / 2 };
  const first = await docker.storm(ids, half);
  const halfway = await subject.vitals();
  const second = await docker.storm(ids, half);
  const endedAt = performance.now();
  const after = await subject.vitals();
  const [actions, taken] = [first.actions + second.actions, first.ms + second.ms];
  await eventually(() => consul.services.size === CONTAINERS, { everyMs: 2, deadlineMs: 120_000 });
  const late = performance.now() - endedAt;
  const rate = Math.round(actions / (taken / 1_000));
  const note = `${actions} starts and stops of ${CONTAINERS} containers, ${rate} a second`;
  const growth = Math.max(0, after.rss - halfway.rss);
  return {
    rows: [
      {
        measure: 'event storm: keeps up',
        reach: `in sync ${PROMPT / 1_000} s after its end`,
        reached: late <= PROMPT,
        registrator: ms(late),
        note: `${note}; ${consul.puts.length - CONTAINERS} writes`,
      },
      {
        measure: 'event storm: memory',
        reach: `bounded: ≤ ${MiB(BOUNDED)} more at its end than halfway`,
        reached: growth <= BOUNDED,
        registrator: MiB(growth),
        note: `RSS; ${MiB(before.rss)} before, ${MiB(halfway.rss)} halfway. The queue holds each container once, however many events it had`,
      },
      {
        measure: 'event storm: event loop delay, p99',
        reach: '< 50 ms',
        reached: after.loopDelayP99 < 50,
        registrator: ms(after.loopDelayP99),
        note: `the longest was ${ms(after.loopDelayMax)}; ${((after.cpu - before.cpu) / taken).toFixed(2)} cores used`,
      },
    ],
  };
}
