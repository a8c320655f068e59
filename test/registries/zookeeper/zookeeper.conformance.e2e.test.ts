import * as vitest from 'vitest';
import { registryConformance } from '../../../src/registries/kit/conformance/index.ts';
import { zooKeeper } from '../../../src/registries/zookeeper/zookeeper.ts';
import { ZooKeeperServer } from '../../support/zookeeper.ts';

registryConformance(
  {
    name: 'zookeeper',
    make: zooKeeper,
    ttl: 2,
    async start() {
      const server = await new ZooKeeperServer().start();
      return { server, uri: (test) => `zookeeper://${server.address}/test/${test}`, stop: () => server.dispose() };
    },
    loseData: ({ server }) => server.restart({ emptyData: true }),
    pause: ({ server }) => server.pause(),
    resume: ({ server }) => server.resume(),
    refused: (service) => ({ ...service, meta: { far: 'too long '.repeat(100_000) } }),
  },
  vitest,
);
