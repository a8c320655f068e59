import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { BindServer } from '../support/bind.ts';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { KnotServer } from '../support/knot.ts';
import { freePort } from '../support/ports.ts';
import { ZooKeeperServer } from '../support/zookeeper.ts';
import { ZooKeeperClient } from '../support/zookeeper-client.ts';
import { ConsulTarget } from './model/consul-target.ts';
import { ConsulKvTarget } from './model/consulkv-target.ts';
import { type EtcdScheme, EtcdTarget } from './model/etcd-target.ts';
import { MemoryTarget } from './model/memory-target.ts';
import { Rfc2136Target } from './model/rfc2136-target.ts';
import { sequence } from './model/steps.ts';
import type { Target } from './model/targets.ts';
import { play } from './model/world.ts';
import { ZooKeeperTarget } from './model/zookeeper-target.ts';

/**
 * Random lives of a host, with random faults, against the real source and reconciler. `FAULTS_SEED=<seed>` (and
 * `FAULTS_PATH=<path>`) plays again what a failure has printed, alone, and makes it smaller; `FAULTS_RUNS=<number>`
 * plays so many sequences a registry.
 */
const replay = process.env.FAULTS_SEED === undefined ? undefined : Number(process.env.FAULTS_SEED);
const firstSeed = replay ?? Math.floor(Math.random() * 1_000_000_000);
const runs = Number(process.env.FAULTS_RUNS ?? 100);

/** Sequences played at once. */
const LANES = 10;
const zoneOf = (lane: number) => `lane${lane % LANES}.example`;
const zones = Array.from({ length: LANES }, (_, lane) => zoneOf(lane));

let consul: ConsulServer;
let etcd: EtcdServer;
let bind: BindServer;
let knot: KnotServer;
let zooKeeper: ZooKeeperServer;
let bystander: ZooKeeperClient;
beforeAll(async () => {
  [consul, etcd, bind, knot, zooKeeper] = await Promise.all([
    new ConsulServer({ acl: true }).start(),
    new EtcdServer().start(),
    new BindServer(zones).start(),
    new KnotServer(zones).start(),
    new ZooKeeperServer().start(),
  ]);
  bystander = await new ZooKeeperClient(zooKeeper.address).connect();
});
afterAll(async () => {
  bystander?.close();
  await Promise.all([consul, etcd, bind, knot, zooKeeper].map((server) => server?.dispose()));
});

describe('after any faults and a resync the registry holds what the running containers mean', () => {
  /** Every other lane of those that can has `--ttl`. */
  const ttlOf = (lane: number) => (lane % 2 === 0 ? undefined : 60);
  const etcdTarget = (scheme: EtcdScheme) => (host: string, port: number, lane: number) =>
    new EtcdTarget(scheme, etcd, port, host, ttlOf(lane));
  const targets: Readonly<Record<string, (host: string, port: number, lane: number) => Target>> = {
    memory: () => new MemoryTarget(),
    Consul: (host, port) => new ConsulTarget(consul, port, host),
    consulkv: (host, port, lane) => new ConsulKvTarget(consul, port, host, ttlOf(lane)),
    etcd: etcdTarget('etcd'),
    'etcd-legacy': etcdTarget('etcd-legacy'),
    coredns: etcdTarget('coredns'),
    skydns2: etcdTarget('skydns2'),
    rfc2136: (host, port, lane) => new Rfc2136Target(lane % 2 === 0 ? bind : knot, port, host, zoneOf(lane)),
    ZooKeeper: (host, port) => new ZooKeeperTarget(zooKeeper, bystander, port, host),
  };
  it.each(Object.entries(targets))(`%s: ${runs} sequences`, async (name, target) => {
    const ports = await Promise.all(Array.from({ length: LANES }, freePort));
    await lanes(name, (host, lane) => target(host, ports[lane % LANES] ?? 0, lane));
  });
});

/** Most of a sequence is waiting: so many are played at once, each with a seed of its own. */
async function lanes(name: string, target: (host: string, lane: number) => Target): Promise<void> {
  const seeds = replay === undefined ? Array.from({ length: LANES }, (_, lane) => firstSeed + lane) : [replay];
  const runsEach = Math.max(1, Math.round(runs / LANES));
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
