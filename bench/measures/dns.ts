import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dig } from '../../test/support/dig.ts';
import { eventually } from '../../test/support/eventually.ts';
import { freePort } from '../../test/support/ports.ts';
import { SimulatedDocker } from '../../test/support/simulated-docker.ts';
import { type BenchOptions, median, type Outcome, type Row } from '../measure.ts';
import { Subject } from '../subject.ts';
import { tool } from '../tools.ts';

const SERVICES = 100;
const SECONDS = 2;
/** Questions under way at once. */
const OUTSTANDING = 50;

/** Questions a second that the embedded catalogue answers, beside dnsmasq with the same records, both asked by dnsperf. */
export async function dns({ program, rounds, say }: BenchOptions): Promise<Outcome> {
  const dir = await mkdtemp(join(tmpdir(), 'registrator-bench-dns-'));
  await using docker = await new SimulatedDocker().up();
  const names = Array.from({ length: SERVICES }, (_, n) => `app-${n}.service.consul`);
  for (let n = 0; n < SERVICES; n++) docker.run({ image: `app-${n}`, publish: { '80/tcp': 20_000 + n } });
  const [httpPort, dnsPort, otherPort] = [await freePort(), await freePort(), await freePort()];
  await using subject = new Subject(program, ['--ip', '10.0.0.1', `memory://127.0.0.1:${httpPort}?dns=${dnsPort}`], {
    host: docker.host,
  });
  await subject.untilRegistered(SERVICES);
  const config = await recordsOf(dnsPort, names);
  await writeFile(join(dir, 'dnsmasq.conf'), config);
  await using dnsmasq = await startDnsmasq(join(dir, 'dnsmasq.conf'), otherPort, names[0] ?? '');

  const rows: Row[] = [];
  for (const type of ['A', 'SRV']) {
    const cpuBefore = { dnsmasq: await cpuTime(dnsmasq.pid), registrator: await cpuTime(subject.pid) };
    const answered = { dnsmasq: 0, registrator: 0 };
    const questions = join(dir, type);
    await writeFile(questions, names.map((name) => `${name} ${type}\n`).join(''));
    const rates = { dnsmasq: [] as number[], registrator: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      const other = await queriesPerSecond(otherPort, questions);
      const ours = await queriesPerSecond(dnsPort, questions);
      answered.dnsmasq += other * SECONDS;
      answered.registrator += ours * SECONDS;
      if (round < 0) continue; // warms both up
      rates.dnsmasq.push(other);
      rates.registrator.push(ours);
      say(`DNS ${type}: dnsmasq ${Math.round(other)}, registrator ${Math.round(ours)} queries a second`);
    }
    const each = (pid: number, side: 'dnsmasq' | 'registrator') =>
      cpuTime(pid).then((now) => `${(((now - cpuBefore[side]) * 1_000) / answered[side]).toFixed(1)} µs`);
    const cpu = `CPU a query ${await each(dnsmasq.pid, 'dnsmasq')} and ${await each(subject.pid, 'registrator')}`;
    const ratio = median(rates.registrator) / median(rates.dnsmasq);
    const unit = (value: number) => `${Math.round(value).toLocaleString('en')} q/s`;
    rows.push({
      measure: `DNS, ${type} records of ${SERVICES} services`,
      reach: '≥ 0.5 × dnsmasq',
      reached: ratio >= 0.5,
      floor: unit(median(rates.dnsmasq)),
      registrator: unit(median(rates.registrator)),
      ratio,
      note: `dnsperf with ${OUTSTANDING} questions at once, median of ${rounds} × ${SECONDS} s in turn; ${cpu}`,
    });
  }
  await rm(dir, { recursive: true });
  return { rows };
}

/** The same records that the catalogue answers, as dnsmasq's configuration. */
async function recordsOf(port: number, names: readonly string[]): Promise<string> {
  const lines = ['no-resolv', 'no-hosts', 'bind-interfaces', 'listen-address=127.0.0.1', 'cache-size=1000'];
  for (const name of names) {
    const { answer: a } = await dig(port, name, 'A');
    const { answer: srv, additional } = await dig(port, name, 'SRV');
    for (const { data } of a) lines.push(`host-record=${name},${data}`);
    for (const { data } of srv) {
      const [priority, weight, targetPort, target = ''] = data.split(' ');
      lines.push(`srv-host=${name},${target.replace(/\.$/, '')},${targetPort},${priority},${weight}`);
    }
    for (const { name: host, type, data } of additional) {
      if (type === 'A') lines.push(`host-record=${host.replace(/\.$/, '')},${data}`);
    }
  }
  return `${[...new Set(lines)].join('\n')}\n`;
}

async function startDnsmasq(config: string, port: number, name: string): Promise<AsyncDisposable & { pid: number }> {
  await tool('dnsmasq-base', 'dnsmasq', '--version');
  const { PATH = '' } = process.env;
  const args = ['--keep-in-foreground', `--conf-file=${config}`, `--port=${port}`, '--user=root', '--pid-file'];
  const child = spawn('dnsmasq', args, { stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: `${PATH}:/usr/sbin` } });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  await eventually(async () => (await dig(port, name)).answer.length > 0);
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      process.off('exit', kill);
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Milliseconds of CPU that a process has used; Linux counts them in hundredths of a second. */
async function cpuTime(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function queriesPerSecond(port: number, questions: string): Promise<number> {
  const args = [
    '-s',
    '127.0.0.1',
    '-p',
    String(port),
    '-d',
    questions,
    '-l',
    String(SECONDS),
    '-q',
    String(OUTSTANDING),
  ];
  const report = await tool('dnsperf', 'dnsperf', ...args, '-c', '1', '-T', '1');
  const [, completed = '0'] = /Queries completed:\s+(\d+)/.exec(report) ?? [];
  const [, lost = '0'] = /Queries lost:\s+(\d+)/.exec(report) ?? [];
  const [, rate = '0'] = /Queries per second:\s+([\d.]+)/.exec(report) ?? [];
  if (!/NOERROR \d+ \(100\.00%\)/.test(report)) throw new Error(`dnsperf was not answered rightly:\n${report}`);
  if (Number(lost) > Number(completed) / 100) throw new Error(`dnsperf lost ${lost} of ${completed} questions.`);
  return Number(rate);
}
