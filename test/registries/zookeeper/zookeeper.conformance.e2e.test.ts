import { zooKeeper } from '../../../src/registries/zookeeper/zookeeper.ts';
import { ZooKeeperServer } from '../../support/zookeeper.ts';
import { conformance } from '../conformance.ts';

conformance('zookeeper', {
  factory: zooKeeper,
  ttl: 2,
  async start() {
    const server = await new ZooKeeperServer().start();
    return { server, uri: (test) => `zookeeper://${server.address}/test/${test}`, stop: () => server.dispose() };
  },
  loseData: ({ server }) => server.restart({ emptyData: true }),
  pause: ({ server }) => server.pause(),
  resume: ({ server }) => server.resume(),
  refused: (service) => ({ ...service, meta: { far: 'too long '.repeat(100_000) } }),
});
