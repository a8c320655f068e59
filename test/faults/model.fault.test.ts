import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { freePort } from '../support/ports.ts';
import { sequence } from './model/steps.ts';
import { ConsulTarget, EtcdTarget, MemoryTarget, type Target } from './model/targets.ts';
import { play } from './model/world.ts';

/**
 * Random lives of a host, with random faults, against the real source and reconciler. `FAULTS_SEED=<seed>` (and
 * `FAULTS_PATH=<path>`) plays again what a failure has printed, alone, and makes it smaller; `FAULTS_RUNS=<number>`
 * plays more sequences.
 */
const replay = process.env.FAULTS_SEED === undefined ? undefined : Number(process.env.FAULTS_SEED);
const firstSeed = replay ?? Math.floor(Math.random() * 1_000_000_000);
const factor = Number(process.env.FAULTS_RUNS ?? 1_000) / 1_000;

let consul: ConsulServer;
let etcd: EtcdServer;
beforeAll(async () => {
  [consul, etcd] = await Promise.all([new ConsulServer().start(), new EtcdServer().start()]);
});
afterAll(async () => {
  await Promise.all([consul.dispose(), etcd.dispose()]);
});

describe('after any faults and a resync the registry holds what the running containers mean', () => {
  const memory = () => new MemoryTarget();
  it('memory: 200 sequences', () => lanes('memory', 200, 10, memory));
  it('Consul: 400 sequences', async () => {
    const ports = await Promise.all(Array.from({ length: 10 }, freePort));
    await lanes('Consul', 400, 10, (host, lane) => new ConsulTarget(consul, ports[lane % 10] ?? 0, host));
  });
  it('etcd: 400 sequences, half of them with --ttl', async () => {
    const ports = await Promise.all(Array.from({ length: 10 }, freePort));
    const ttl = (lane: number) => (lane % 2 === 0 ? undefined : 60);
    await lanes('etcd', 400, 10, (host, lane) => new EtcdTarget(etcd, ports[lane % 10] ?? 0, host, ttl(lane)));
  });
});

/** Most of a sequence is waiting: so many are played at once, each with a seed of its own. */
async function lanes(
  name: string,
  runs: number,
  count: number,
  target: (host: string, lane: number) => Target,
): Promise<void> {
  const seeds = replay === undefined ? Array.from({ length: count }, (_, lane) => firstSeed + lane) : [replay];
  const runsEach = Math.max(1, Math.round((runs * factor) / count));
  console.info(`${name}: ${seeds.length} x ${runsEach} sequences, seeds ${seeds[0]} to ${seeds.at(-1)}`);
  const lanes = await Promise.allSettled(
    seeds.map(async (seed, lane) => {
      let played = 0;
      const property = fc.asyncProperty(sequence, fc.nat(), (steps, eventSeed) => {
        const host = `h${lane}x${++played}`;
        return play(steps, host, target(host, replay ?? lane), eventSeed);
      });
      const { FAULTS_PATH: path } = process.env;
      await fc.assert(property, {
        seed,
        numRuns: runsEach,
        ...(path === undefined ? {} : { path }),
        // To make a failure smaller takes minutes.
        endOnFailure: replay === undefined,
        includeErrorInReport: true,
      });
    }),
  );
  for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
}
