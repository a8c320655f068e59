import { randomUUID } from 'node:crypto';
import * as vitest from 'vitest';
import { consulKv } from '../../../src/registries/consul/kv.ts';
import { registryConformance } from '../../../src/registries/kit/conformance/index.ts';
import { ConsulServer } from '../../support/consul.ts';

const TOKEN = randomUUID();

/** Lets the token do all but write services called `forbidden`. */
async function grant(server: ConsulServer): Promise<void> {
  const denied = Array.from({ length: 100 }, (_, n) => `key_prefix "test/${n}/forbidden/" { policy = "read" }`);
  const rules = ['key_prefix "test/" { policy = "write" }', 'session_prefix "" { policy = "write" }', ...denied];
  await server.api('PUT', '/v1/acl/policy', { Name: 'test', Rules: rules.join('\n') });
  await server.api('PUT', '/v1/acl/token', { SecretID: TOKEN, Policies: [{ Name: 'test' }] });
}

registryConformance(
  {
    name: 'consulkv',
    make: consulKv,
    // The least that Consul takes; it lets a session live for up to twice as long.
    ttl: 10,
    async start() {
      const server = await new ConsulServer({ acl: true }).start();
      await grant(server);
      return {
        server,
        env: { CONSUL_HTTP_TOKEN: TOKEN },
        uri: (test) => `consulkv://${server.address}/test/${test}`,
        stop: () => server.dispose(),
      };
    },
    async loseData({ server }) {
      await server.restart({ emptyData: true });
      await grant(server);
    },
    pause: ({ server }) => server.pause(),
    resume: ({ server }) => server.resume(),
    refused: (service) => ({ ...service, name: 'forbidden' }),
  },
  vitest,
);
