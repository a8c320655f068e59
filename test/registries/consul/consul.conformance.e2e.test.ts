import { randomUUID } from 'node:crypto';
import * as vitest from 'vitest';
import { consul } from '../../../src/registries/consul/consul.ts';
import { registryConformance } from '../../../src/registries/kit/conformance/index.ts';
import { ConsulServer } from '../../support/consul.ts';

const TOKEN = randomUUID();

/** Lets the token do all but write the service `forbidden`. */
async function grant(server: ConsulServer): Promise<void> {
  const rules = ['service_prefix "" { policy = "write" }', 'service "forbidden" { policy = "read" }'];
  await server.api('PUT', '/v1/acl/policy', { Name: 'test', Rules: rules.join('\n') });
  await server.api('PUT', '/v1/acl/token', { SecretID: TOKEN, Policies: [{ Name: 'test' }] });
}

registryConformance(
  {
    name: 'consul',
    make: consul,
    async start() {
      const server = await new ConsulServer({ acl: true }).start();
      await grant(server);
      return {
        server,
        env: { CONSUL_HTTP_TOKEN: TOKEN },
        uri: () => `consul://${server.address}`,
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
