import { fileURLToPath } from 'node:url';
import { ConsulServer } from '../../test/support/consul.ts';
import { EtcdServer } from '../../test/support/etcd.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, comparison, median, type Outcome, type Row, seconds } from '../measure.ts';
import { Subject } from '../subject.ts';

const floorScript = fileURLToPath(new URL('../floor/cold-start.ts', import.meta.url));
const PORTS = 2;
/** Of the floor; the fastest counts. */
const CONCURRENCY = [4, 16, 48];

export const coldStartConsul = (options: BenchOptions) => coldStart('consul', options);
export const coldStartEtcd = (options: BenchOptions) => coldStart('etcd', options);

/** From the start of the process until every service of many containers is in the real registry. */
async function coldStart(
  kind: 'consul' | 'etcd',
  { program, containers, rounds, say }: BenchOptions,
): Promise<Outcome> {
  await using docker = await new SimulatedDockerProcess().start();
  await docker.call('fill', containers, { ports: PORTS });
  await using server = await (kind === 'consul' ? new ConsulServer() : new EtcdServer()).start();
  const port = server instanceof ConsulServer ? server.httpPort : server.port;
  const name = kind === 'consul' ? 'Consul' : 'etcd';
  const services = containers * PORTS;

  async function timeFloor(concurrency: number): Promise<number> {
    await server.restart({ emptyData: true });
    await using floor = new Subject(floorScript, [docker.socket, kind, String(port), String(concurrency)]);
    const done = await floor.line('done', 600_000);
    const taken = performance.now() - floor.startedAt;
    if (done !== `done ${services}`) throw new Error(`the floor registered ${done} of ${services} services`);
    say(`cold start, ${name}: floor with ${concurrency} at once ${seconds(taken)}`);
    return taken;
  }

  const times = new Map<number, number[]>();
  for (const concurrency of CONCURRENCY) times.set(concurrency, [await timeFloor(concurrency)]);
  const [best = 16, floor = []] = [...times].toSorted(([, [a = 0]], [, [b = 0]]) => a - b)[0] ?? [];
  const registrator: number[] = [];
  let inspections = 0;
  for (let round = 0; round < rounds; round++) {
    if (round > 0) floor.push(await timeFloor(best));
    await server.restart({ emptyData: true });
    const before = await inspected(docker);
    await using subject = new Subject(program, ['--ip', '127.0.0.1', `${kind}://127.0.0.1:${port}`], {
      host: docker.host,
    });
    registrator.push(await subject.untilRegistered(services, 900_000));
    inspections = Math.max(inspections, (await inspected(docker)) - before);
    say(`cold start, ${name}: registrator ${seconds(registrator.at(-1) ?? 0)}`);
  }
  const inspectRow: Row = {
    measure: `inspections a container, cold start with ${name}`,
    reach: '≤ 1',
    reached: inspections <= containers,
    registrator: (inspections / containers).toFixed(2),
    note: `${inspections} for ${containers} containers`,
  };
  const note = `${services} services, real ${name}, median of ${registrator.length} in turn with the floor, which does ${best} at once`;
  return {
    rows: [
      comparison(`cold start, ${containers} containers × ${PORTS} ports, ${name}`, {
        ...{ floor: median(floor), registrator: median(registrator), most: 1.2, unit: seconds, note },
      }),
      inspectRow,
    ],
  };
}

async function inspected(docker: SimulatedDockerProcess): Promise<number> {
  return (await docker.requests()).get('GET /containers/{id}/json') ?? 0;
}
