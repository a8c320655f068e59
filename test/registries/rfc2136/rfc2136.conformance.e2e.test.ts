import * as vitest from 'vitest';
import { registryConformance } from '../../../src/registries/kit/conformance/index.ts';
import { rfc2136 } from '../../../src/registries/rfc2136/rfc2136.ts';
import { BindServer } from '../../support/bind.ts';
import { KEY_ENV } from '../../support/dns-server.ts';
import { KnotServer } from '../../support/knot.ts';

for (const [name, Server] of [
  ['BIND', BindServer],
  ['Knot', KnotServer],
] as const) {
  registryConformance(
    {
      name: `rfc2136 at ${name}`,
      make: rfc2136,
      async start() {
        const server = await new Server().start();
        return {
          server,
          env: KEY_ENV,
          uri: () => `rfc2136://${server.address}/services.example?tags=1`,
          stop: () => server.dispose(),
        };
      },
      loseData: ({ server }) => server.restart({ emptyData: true }),
      pause: ({ server }) => server.pause(),
      resume: ({ server }) => server.resume(),
      refused: (service) => ({ ...service, address: 'db.example.com' }),
    },
    vitest,
  );
}
