import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDockerProcess } from '../support/simulated-docker-process.ts';
import { type Hostile, hostileContainer } from './containers.ts';

/** HOSTILE=5000 tries as many; the figures are printed then. */
const RUNS = Number(process.env.HOSTILE ?? 25);
const ORDINARY = 50;
/** Ordinary containers that start while a hostile one does. */
const BESIDE = 3;
/**
 * MiB that the program's heap may have. A container with a thousand ports and long labels takes some 100 of them while it is
 * there; with less the program has ended for want of memory.
 */
const HEAP = 256;
const AS_IN_THE_IMAGE = '--max-semi-space-size=8';
const MIB = 2 ** 20;

const cleanUp: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

test(`${RUNS} hostile containers, one after the other: what 50 ordinary ones mean is registered as without them`, async () => {
  const docker = await new SimulatedDockerProcess().start();
  const consul = await new RecordingConsul().start();
  const [page, catalogue] = [await freePort(), await freePort()];
  cleanUp.push(docker, consul);
  const ids = (await docker.call('fill', ORDINARY, { ports: 1 })) as string[];
  const flags = ['--ip', '10.9.8.7', '--log-format', 'json', '--http', `127.0.0.1:${page}`];
  const tags = [
    '--tags',
    '{{ .Name }},{{ index .Config.Labels "label.1" }},{{ matchFirstElement "^SERVICE_" .Config.Env }}',
  ];
  const uris = [`consul://${consul.address}`, `memory://127.0.0.1:${catalogue}?dns=off`];
  const registrator = new Registrator([...flags, ...tags, ...uris], {
    host: docker.host,
    env: { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${AS_IN_THE_IMAGE} --max-old-space-size=${HEAP}` },
  });
  cleanUp.push(registrator);
  await eventually(() => consul.services.size === ORDINARY);

  /** Restarts ordinary containers, and tells how long each takes to be registered again, in milliseconds. */
  let turn = 0;
  const restartSome = async (): Promise<number[]> => {
    // The first one's ID is what a hostile container asks for, and has as long as its owner is stopped: that one goes on.
    const some = Array.from({ length: BESIDE }, () => ids[1 + (turn++ % (ORDINARY - 1))] ?? '');
    return Promise.all(
      some.map(async (id) => {
        await docker.call('stop', id);
        const service = `simulated:app-${ids.indexOf(id) + 1}:8000`;
        await eventually(() => !consul.services.has(service), { everyMs: 2, deadlineMs: 30_000 });
        const start = performance.now();
        await docker.call('start', id);
        await eventually(() => consul.services.has(service), { everyMs: 2, deadlineMs: 30_000 });
        return performance.now() - start;
      }),
    );
  };
  const metrics = async () => {
    const text = await (await fetch(`http://127.0.0.1:${page}/metrics`)).text();
    const of = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
    return {
      worst: of('nodejs_eventloop_lag_max_seconds') * 1_000,
      p99: of('nodejs_eventloop_lag_p99_seconds') * 1_000,
      memory: of('process_resident_memory_bytes'),
      heap: of('nodejs_heap_size_used_bytes'),
    };
  };

  const without: number[] = [];
  for (let round = 0; round < 20; round += 1) without.push(...(await restartSome()));
  const before = await metrics();
  const beside: number[] = [];
  const delays: { kind: string; worst: number; p99: number; slowest: number }[] = [];
  let longestLog = 0;

  const tryOne = async ({ kind, spec }: Hostile) => {
    const logged = registrator.stdout.length;
    await metrics();
    const id = await docker.call('run', spec);
    const taken = await restartSome();
    beside.push(...taken);
    delays.push({ kind, slowest: Math.max(...taken), ...(await metrics()) });
    await docker.call('remove', id);
    longestLog = Math.max(longestLog, registrator.stdout.length - logged);
    expect(registrator.running, `${kind}: ${registrator.stderr}`).toBe(true);
  };
  await fc.assert(fc.asyncProperty(hostileContainer, tryOne), { numRuns: RUNS, endOnFailure: true });

  await eventually(() => consul.services.size === ORDINARY, { deadlineMs: 30_000 });
  const lag = delays.map(({ p99 }) => p99);
  const atOnce = await metrics();
  // What it took for them it gives back within a minute.
  const isBack = async () => {
    const now = await metrics();
    return now.memory - before.memory < 50 * MIB ? now : undefined;
  };
  const after = await eventually(isBack, { everyMs: 5_000, deadlineMs: 150_000 }).catch(metrics);
  const figures = {
    runs: delays.length,
    'start to registered, p99, ms': [p99(without), p99(beside)].map(Math.round),
    'slowest start, ms': delays
      .toSorted((a, b) => b.slowest - a.slowest)
      .slice(0, 8)
      .map(({ kind, slowest }) => `${Math.round(slowest)} ${kind}`),
    'event loop delay, p99, ms': Math.round(p99(lag)),
    'longest stop of the event loop, ms': delays
      .toSorted((a, b) => b.worst - a.worst)
      .slice(0, 8)
      .map(({ kind, worst }) => `${Math.round(worst)} ${kind}`),
    'longest log of one, bytes': longestLog,
    'memory before, at the end, and within a minute, MiB': [before, atOnce, after].map(
      ({ memory, heap }) => `${Math.round(memory / MIB)}, heap ${Math.round(heap / MIB)}`,
    ),
  };
  if (process.env.HOSTILE !== undefined) console.log(figures);
  expect(after.memory - before.memory).toBeLessThan(50 * MIB);
  expect(longestLog).toBeLessThan(100_000);
  expect(registrator.stdout).not.toMatch(/"level":"(error|fatal)"/);
  // With wide margins: the machine may be busy with other things.
  expect(quantile(beside, 0.5)).toBeLessThan(2 * p99(without) + 500);
  expect(quantile(lag, 0.5)).toBeLessThan(100);
}, 3_000_000);

const quantile = (values: readonly number[], part: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;
const p99 = (values: readonly number[]) => quantile(values, 0.99);
