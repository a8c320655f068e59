import { setTimeout as delay } from 'node:timers/promises';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, type Outcome, percent } from '../measure.ts';
import { Subject } from '../subject.ts';

/** Seconds between two resyncs here, and between those that the figure is for. */
const SHORT = 10;
const USUAL = 60;
const RESYNCS = 3;

/** What `-resync` costs where nothing has changed. */
export async function resync({ program, containers, say }: BenchOptions): Promise<Outcome> {
  await using docker = await new SimulatedDockerProcess().start();
  await docker.call('fill', containers);
  await using consul = await new RecordingConsul().start();
  const args = ['--ip', '127.0.0.1', '-resync', String(SHORT), `consul://${consul.address}`];
  await using subject = new Subject(program, args, { host: docker.host, probed: true });
  await subject.untilRegistered(2 * containers);
  say(`resync: ${containers} containers are registered; watching ${RESYNCS} resyncs`);
  await delay(SHORT * 1_000);
  const before = { ...(await subject.vitals()), requests: consul.requests.length, puts: consul.puts.length };
  const dockerBefore = await docker.requests();
  await delay(RESYNCS * SHORT * 1_000);
  const after = await subject.vitals();
  const dockerAfter = await docker.requests();
  const inspect = 'GET /containers/{id}/json';
  const inspections = (dockerAfter.get(inspect) ?? 0) - (dockerBefore.get(inspect) ?? 0);
  const requests = (consul.requests.length - before.requests) / RESYNCS;
  const writes = consul.puts.length - before.puts;
  const core = (after.cpu - before.cpu) / RESYNCS / (USUAL * 1_000);
  const of = `${RESYNCS} resyncs of ${containers} containers with two ports each`;
  return {
    rows: [
      {
        measure: 'steady resync: writes',
        reach: '0',
        reached: writes === 0,
        registrator: String(writes),
        note: `${of}; ${inspections} inspections`,
      },
      {
        measure: 'steady resync: requests to the registry, each',
        reach: '≤ 3',
        reached: requests <= 3,
        registrator: String(Math.round(requests * 10) / 10),
        note: of,
      },
      {
        measure: 'steady resync: CPU at -resync 60',
        reach: '< 5 % of one core',
        reached: core < 0.05,
        registrator: percent(core),
        note: `CPU time of a resync, measured at -resync ${SHORT}, spread over ${USUAL} s; ${of}`,
      },
    ],
  };
}
