import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RecordingConsul } from '../../test/support/recorder.ts';
import { SimulatedDockerProcess } from '../../test/support/simulated-docker-process.ts';
import { type BenchOptions, comparison, MiB, median, type Outcome, percent } from '../measure.ts';
import { Subject } from '../subject.ts';

const bareNode = fileURLToPath(new URL('../floor/bare-node.js', import.meta.url));
/** Milliseconds after the start at which memory is read: V8 has given back what the start took. */
const SETTLE = 20_000;
/** Milliseconds that an idle process is watched. */
const WATCHED = 30_000;
const MOST_CPU = 0.005;

/** What registrator costs a small host that nothing happens on: memory beside Node's own, CPU, and wake-ups. */
export async function rest({ program, rounds, say }: BenchOptions): Promise<Outcome> {
  const sizes: Record<'node' | 'consul' | 'memory', number[]> = { node: [], consul: [], memory: [] };
  for (let round = 0; round < rounds; round++) {
    await using docker = await new SimulatedDockerProcess().start();
    await docker.call('fill', 5);
    await using consul = await new RecordingConsul().start();
    const started = async (script: string, ...args: string[]) => {
      const subject = new Subject(script, args, { host: docker.host });
      await subject.line('looked at every container');
      return subject;
    };
    await using node = await started(bareNode);
    await using toConsul = await started(program, '--ip', '127.0.0.1', `consul://${consul.address}`);
    await using toMemory = await started(program, '--ip', '127.0.0.1', 'memory://127.0.0.1:0?dns=0');
    await delay(SETTLE);
    sizes.node.push((await usage(node)).rss);
    sizes.consul.push((await usage(toConsul)).rss);
    sizes.memory.push((await usage(toMemory)).rss);
    say(
      `rest: Node ${MiB(median(sizes.node))}, consul ${MiB(median(sizes.consul))}, memory ${MiB(median(sizes.memory))}`,
    );
  }
  const floor = median(sizes.node);
  const note = `RSS ${SETTLE / 1_000} s after the start, five containers with two ports, ${rounds} rounds; the floor is Node with one HTTP server and one fetch made`;
  const row = (name: string, rss: number, most: number) =>
    comparison(`memory at rest, ${name}`, { floor, registrator: rss, most, unit: MiB, note });
  return {
    rows: [
      row('consul://', median(sizes.consul), 1.2),
      row('memory://', median(sizes.memory), 1.25),
      await idle(program, say),
    ],
  };
}

async function idle(program: string, say: BenchOptions['say']) {
  await using docker = await new SimulatedDockerProcess().start();
  await docker.call('fill', 100, { healthcheck: true });
  await using consul = await new RecordingConsul().start();
  await using subject = new Subject(program, ['--ip', '127.0.0.1', '--ttl', '60', `consul://${consul.address}`], {
    host: docker.host,
  });
  await subject.line('looked at every container');
  await delay(SETTLE);
  const before = await usage(subject);
  await delay(WATCHED);
  const after = await usage(subject);
  const cpu = (after.cpuMs - before.cpuMs) / WATCHED;
  const wakeUps = ((after.switches - before.switches) * 1_000) / WATCHED;
  say(`rest: ${percent(cpu)} of a core, ${wakeUps.toFixed(1)} wake-ups a second`);
  return {
    measure: 'CPU at rest, 100 containers × 2 ports with HEALTHCHECK, --ttl 60',
    reach: `< ${percent(MOST_CPU)} of a core`,
    reached: cpu < MOST_CPU,
    registrator: `${percent(cpu)} of a core, ${wakeUps.toFixed(1)} wake-ups a second`,
    note: `${WATCHED / 1_000} s from ${SETTLE / 1_000} s after the start on, consul://`,
  };
}

/** Off the kernel's books, so that nothing has to be loaded into the process. */
async function usage({ pid }: Subject): Promise<{ rss: number; cpuMs: number; switches: number }> {
  const [status, stat] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ]);
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    rss: field('VmRSS') * 1024,
    // In hundredths of a second, as Linux has them for every process.
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
    switches: field('voluntary_ctxt_switches'),
  };
}
