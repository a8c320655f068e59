import * as vitest from 'vitest';
import { registryConformance } from '../../src/registries/kit/conformance/index.ts';
import { memory } from '../../src/registries/memory.ts';

registryConformance(
  {
    name: 'memory',
    make: memory,
    inProcess: true,
    async start() {
      return { uri: () => 'memory://127.0.0.1:0?dns=off', stop: async () => undefined };
    },
  },
  vitest,
);
