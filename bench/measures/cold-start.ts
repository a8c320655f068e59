import { fileURLToPath } from 'node:url';
import { BindServer } from '../../test/support/bind.ts';
import { ConsulServer } from '../../test/support/consul.ts';
import { KEY_ENV } from '../../test/support/dns-server.ts';
import { EtcdServer } from '../../test/support/etcd.ts';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, comparison, median, type Outcome, type Row, seconds } from '../measure.ts';
import { Subject } from '../subject.ts';

const floorScript = fileURLToPath(new URL('../floor/cold-start.ts', import.meta.url));
const PORTS = 2;
const nsupdateScript = fileURLToPath(new URL('../floor/nsupdate.ts', import.meta.url));
/** Of the floor; the fastest counts. */
const CONCURRENCY = [4, 16, 48];

export const coldStartConsul = (options: BenchOptions) => coldStart('consul', options);
export const coldStartRecorder = (options: BenchOptions) => coldStart('recorder', options);
export const coldStartEtcd = (options: BenchOptions) => coldStart('etcd', options);
export const coldStartBind = (options: BenchOptions) => coldStart('bind', options);

/** What takes Consul's calls and does nothing else: what is left is registrator's own time. */
class Recorder extends RecordingConsul {
  restart(_: { readonly emptyData: boolean }): Promise<void> {
    this.forget();
    return Promise.resolve();
  }
}

const KINDS = {
  consul: { name: 'Consul', make: () => new ConsulServer(), uri: (at: string) => `consul://${at}`, most: 1.2 },
  recorder: { name: 'a recorder', make: () => new Recorder(), uri: (at: string) => `consul://${at}`, most: 2 },
  etcd: { name: 'etcd', make: () => new EtcdServer(), uri: (at: string) => `etcd://${at}`, most: 1.2 },
  bind: {
    name: 'BIND',
    make: () => new BindServer(),
    uri: (at: string) => `rfc2136://${at}/services.example`,
    most: 1.3,
  },
} as const;

/** From the start of the process until every service of many containers is in the real registry. */
async function coldStart(
  kind: keyof typeof KINDS,
  { program, containers, rounds, say }: BenchOptions,
): Promise<Outcome> {
  await using docker = await new SimulatedDockerProcess().start();
  await docker.call('fill', containers, { ports: PORTS });
  const { name, make, uri, most } = KINDS[kind];
  await using server = await make().start();
  const port = server instanceof ConsulServer ? server.httpPort : server.port;
  const env = kind === 'bind' ? KEY_ENV : {};
  const services = containers * PORTS;

  async function timeFloor(concurrency: number): Promise<number> {
    await server.restart({ emptyData: true });
    const rest = [String(port), String(concurrency)];
    await using floor =
      kind === 'bind'
        ? new Subject(nsupdateScript, [docker.socket, ...rest])
        : new Subject(floorScript, [docker.socket, kind === 'recorder' ? 'consul' : kind, ...rest]);
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
    await using subject = new Subject(program, ['--ip', '127.0.0.1', uri(`127.0.0.1:${port}`)], {
      host: docker.host,
      env,
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
        ...{ floor: median(floor), registrator: median(registrator), most, unit: seconds, note },
      }),
      inspectRow,
    ],
  };
}

async function inspected(docker: SimulatedDockerProcess): Promise<number> {
  return (await docker.requests()).get('GET /containers/{id}/json') ?? 0;
}
