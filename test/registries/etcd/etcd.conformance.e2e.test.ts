import * as vitest from 'vitest';
import { etcd } from '../../../src/registries/etcd/etcd.ts';
import { etcdLegacy } from '../../../src/registries/etcd/legacy.ts';
import { coredns, skydns2 } from '../../../src/registries/etcd/skydns.ts';
import type { RegistryFactory } from '../../../src/registries/index.ts';
import { type Conformance, registryConformance } from '../../../src/registries/kit/conformance/index.ts';
import { EtcdServer } from '../../support/etcd.ts';

type Mark = NonNullable<Conformance['mark']>;

/** The v2 and the v3 API have nothing in common but the port. */
function suite(scheme: string, factory: RegistryFactory, path: (test: number) => string, mark: Mark): void {
  registryConformance(
    {
      name: scheme,
      make: factory,
      mark,
      ttl: 2,
      async start() {
        const server = await new EtcdServer().start();
        return {
          server,
          uri: (test) => `${scheme}://${server.address}/${path(test)}`,
          stop: () => server.dispose(),
        };
      },
      loseData: ({ server }) => server.restart({ emptyData: true }),
      pause: ({ server }) => server.pause(),
      resume: ({ server }) => server.resume(),
    },
    vitest,
  );
}

suite('etcd', etcd, (test) => `test/${test}`, 'ID');
suite('etcd-legacy', etcdLegacy, (test) => `test/${test}`, 'ID');
suite('skydns2', skydns2, (test) => `t${test}.example`, 'host and engine');
suite('coredns', coredns, (test) => `t${test}.example`, 'host and engine');
