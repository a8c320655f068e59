import type { Service } from '../../src/services/index.ts';
import { service } from '../support/service.ts';

/** A service of a container `web` on `node1`, as far as nothing else is asked for. */
export function serviceOf(port: number, change: Partial<Service> = {}): Service {
  return service({ container: 'web', id: `node1:web:${port}`, name: 'web', address: '10.1.2.3', port, ...change });
}
