import { eventually } from '../../test/support/eventually.ts';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, median, ms, type Outcome } from '../measure.ts';
import { Subject } from '../subject.ts';

const MOST = 300;

/** From the start of the process to the arrival of the first registration. */
export async function processStart({ program, samples }: BenchOptions): Promise<Outcome> {
  await using docker = await new SimulatedDockerProcess().start();
  await docker.call('fill', 1, { ports: 1 });
  const taken: number[] = [];
  for (let n = 0; n < Math.ceil(samples / 4); n++) {
    await using consul = await new RecordingConsul().start();
    await using subject = new Subject(program, ['--ip', '127.0.0.1', `consul://${consul.address}`], {
      host: docker.host,
    });
    const put = await eventually(() => consul.puts[0], { everyMs: 1 });
    taken.push(put.at - subject.startedAt);
  }
  return {
    rows: [
      {
        measure: 'process start → first service registered, p50',
        reach: `≤ ${MOST} ms`,
        reached: median(taken) <= MOST,
        registrator: ms(median(taken)),
        note: `${taken.length} starts, simulated Docker; from ${ms(Math.min(...taken))} to ${ms(Math.max(...taken))}`,
      },
    ],
  };
}
