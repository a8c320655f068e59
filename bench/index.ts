/** npm run bench: measures registrator beside the floor, prints one table, writes results.json and docs/cost.svg. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { enterOwnNetwork } from '../test/support/own-network.ts';
import type { BenchOptions, Measure, Point, Row } from './measure.ts';
import { checks } from './measures/checks.ts';
import { coldStartBind, coldStartConsul, coldStartEtcd, coldStartRecorder } from './measures/cold-start.ts';
import { dns } from './measures/dns.ts';
import { eventToDns } from './measures/event-to-dns.ts';
import { image } from './measures/image.ts';
import { memory } from './measures/memory.ts';
import { processStart } from './measures/process-start.ts';
import { rest } from './measures/rest.ts';
import { resync } from './measures/resync.ts';
import { startEvent } from './measures/start-event.ts';
import { eventStorm } from './measures/storm.ts';
import { table } from './table.ts';

const measures: Readonly<Record<string, Measure>> = {
  'start-event': startEvent,
  'event-to-dns': eventToDns,
  'cold-start-consul': coldStartConsul,
  'cold-start-recorder': coldStartRecorder,
  'cold-start-etcd': coldStartEtcd,
  'cold-start-bind': coldStartBind,
  resync,
  storm: eventStorm,
  memory,
  rest,
  dns,
  checks,
  'process-start': processStart,
  image,
};

const usage = `node bench/index.ts [options] [measure...]

Measures: ${Object.keys(measures).join(' ')} (all, where none is named)
  --quick            fewer containers, samples and rounds: figures for a first look only
  --containers <n>   the most containers at once (10000; quick 1000)
  --storm <seconds>  how long the event storm lasts (60; quick 5)
  --samples <n>      how many starts are timed a side (120; quick 20)
  --rounds <n>       turns of floor and registrator (3; quick 1)
  --program <file>   the program's script (dist/cli.js, which is built first)
`;

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

await enterOwnNetwork();
process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      containers: { type: 'string' },
      storm: { type: 'string' },
      samples: { type: 'string' },
      rounds: { type: 'string' },
      program: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const names = positionals.length === 0 ? Object.keys(measures) : positionals;
  const unknown = names.find((name) => !(name in measures));
  if (values.help || unknown !== undefined) {
    if (unknown !== undefined) process.stderr.write(`There is no measure called ${unknown}.\n\n`);
    process.stderr.write(usage);
    return unknown === undefined ? 0 : 2;
  }
  const number = (given: string | undefined, usual: number, quick: number) =>
    given === undefined ? (values.quick ? quick : usual) : Number(given);
  const options: BenchOptions = {
    program: values.program ?? (await build()),
    containers: number(values.containers, 10_000, 1_000),
    stormSeconds: number(values.storm, 60, 5),
    samples: number(values.samples, 120, 20),
    rounds: number(values.rounds, 3, 1),
    say,
  };
  const rows: Row[] = [];
  const points: Point[] = [];
  const failed: string[] = [];
  for (const name of names) {
    say(`== ${name}`);
    try {
      const outcome = await measures[name]?.(options);
      rows.push(...(outcome?.rows ?? []));
      points.push(...(outcome?.points ?? []));
    } catch (error) {
      failed.push(name);
      say(`${name} could not be measured: ${(error as Error).message}`);
    }
  }
  await write({ rows, points, options });
  process.stdout.write(`\n${table(rows)}\n${conditions(values.quick)}\n`);
  if (failed.length > 0) process.stdout.write(`Could not be measured: ${failed.join(', ')}.\n`);
  return failed.length > 0 ? 1 : 0;
}

async function write({
  rows,
  points,
  options,
}: {
  rows: Row[];
  points: Point[];
  options: BenchOptions;
}): Promise<void> {
  await writeFile(path('results.json'), `${JSON.stringify({ options, rows, points }, null, 2)}\n`);
  if (points.length === 0) return;
  const { plot } = await import('./plot.ts');
  await mkdir(path('../docs'), { recursive: true });
  await writeFile(path('../docs/cost.svg'), plot(points));
}

async function build(): Promise<string> {
  say('building dist/');
  await promisify(execFile)('npm', ['run', 'build'], { cwd: path('..') });
  return path('../dist/cli.js');
}

function conditions(quick: boolean): string {
  const cores = cpus();
  const when = quick ? ' A quick run: for a first look only.' : '';
  return `Node ${process.versions.node}, ${cores.length} cores (${cores[0]?.model.trim()}), all parts on one machine.${when}`;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
