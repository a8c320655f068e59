import { memory } from '../../src/registries/memory.ts';
import { conformance } from './conformance.ts';

conformance('memory', {
  factory: memory,
  inProcess: true,
  async start() {
    return { uri: () => 'memory://127.0.0.1:0?dns=off', stop: async () => undefined };
  },
});
