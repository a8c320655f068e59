import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where newer.sh puts the parts of Debian trixie; see package.json's scripts. */
const TRIXIE = '/var/cache/registrator-tests/trixie';

export type Part = 'Docker' | 'Podman' | 'etcd' | 'ZooKeeper' | 'Consul';

/** Which test files say whether registrator works with a part. */
export const FACING: Readonly<Record<Part, readonly string[]>> = {
  Docker: [
    'test/docker/docker-host.e2e.test.ts',
    'test/e2e/services.e2e.test.ts',
    'test/e2e/golden.e2e.test.ts',
    'test/e2e/draining.e2e.test.ts',
    'test/e2e/readiness.e2e.test.ts',
    'test/e2e/swarm.e2e.test.ts',
  ],
  Podman: ['test/e2e/podman.e2e.test.ts'],
  etcd: [
    'test/registries/etcd/etcd.conformance.e2e.test.ts',
    'test/registries/etcd/etcd.e2e.test.ts',
    'test/registries/etcd/skydns.e2e.test.ts',
  ],
  ZooKeeper: [
    'test/registries/zookeeper/zookeeper.conformance.e2e.test.ts',
    'test/registries/zookeeper/zookeeper.e2e.test.ts',
  ],
  Consul: ['test/registries/consul/consul.conformance.e2e.test.ts', 'test/registries/consul/consul.e2e.test.ts'],
};

/** Those of Docker's that look at what Docker 29 changed; see test/e2e/docker29.e2e.test.ts for the rest. */
const FACING_DOCKER29 = FACING.Docker.filter((file) => /docker-host|services|golden|readiness/.test(file));

export interface Generation {
  /** Of the project of vitest's that runs it. */
  readonly name: string;
  readonly include: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const PATH = `${join(TRIXIE, 'bin')}:${process.env.PATH}`;

/** What the tests run against beside the installed parts: those of Debian trixie, and an engine that answers as Docker 29. */
export const GENERATIONS: readonly Generation[] = [
  {
    name: 'trixie',
    include: [...FACING.Docker, ...FACING.Podman, ...FACING.etcd, ...FACING.ZooKeeper],
    env: { PATH, REGISTRATOR_TEST_JAVA: join(TRIXIE, 'java') },
  },
  { name: 'docker29', include: FACING_DOCKER29, env: { PATH, REGISTRATOR_TEST_DOCKER29: '1' } },
];

/** The generations that can run here. Where newer.sh can bring nothing, a line says so; on CI that is a failure. */
export function generationsHere(): readonly Generation[] {
  if (existsSync(join(TRIXIE, 'stamp')) || process.env.CI === 'true') return GENERATIONS;
  process.stderr.write('left out: the projects trixie and docker29, which need what test/support/newer.sh brings\n');
  return [];
}

/** Whether engines of this process answer as Docker 29 does. */
export const asDocker29 = process.env.REGISTRATOR_TEST_DOCKER29 === '1';
/** Where ZooKeeper's jars are. */
export const javaDir = process.env.REGISTRATOR_TEST_JAVA ?? '/usr/share/java';
