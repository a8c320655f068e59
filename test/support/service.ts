import type { Service } from '../../src/services/index.ts';

/** A service to register in tests that need no container; `over` replaces fields. */
export function service(over: Partial<Service> & { container?: string; host?: string } = {}): Service {
  const { container = 'redis', host = 'node1', ...fields } = over;
  return {
    id: `${host}:${container}:6379`,
    name: 'redis',
    address: '10.0.0.1',
    port: 32768,
    protocol: 'tcp',
    tags: [],
    meta: {},
    origin: {
      containerId: `${container}-`.padEnd(64, '0'),
      containerName: container,
      image: 'redis',
      exposedPort: 6379,
      startedAt: 1_000,
    },
    ...fields,
  };
}
