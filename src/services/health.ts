import type { Container } from './container.ts';
import type { Health, HealthStatus } from './service.ts';

/** Consul cuts outputs at this many bytes as well. */
const LONGEST_OUTPUT = 4_096;

const STATUS = new Map<string, HealthStatus>([
  // Not ready is not to be served: `warning` is what DNS answers with, and `?passing` does not.
  ['starting', 'critical'],
  ['healthy', 'passing'],
  ['unhealthy', 'critical'],
]);

export const PAUSED: Health = { status: 'critical', output: 'container is paused' };

/**
 * What the container's HEALTHCHECK says; undefined where it has none.
 *
 * @param initial the state while it starts, where a label asks for another one
 */
export function dockerHealth({ healthcheck }: Container, initial?: HealthStatus): Health | undefined {
  const said = STATUS.get(healthcheck?.status ?? '');
  const status = healthcheck?.status === 'starting' ? (initial ?? said) : said;
  if (healthcheck === undefined || status === undefined) return undefined;
  return { status, output: printable(healthcheck.output) || `container is ${healthcheck.status}` };
}

/** Without control characters but line feeds, and whole characters only. */
function printable(output: string): string {
  const bytes = Buffer.from(output.slice(0, LONGEST_OUTPUT).replace(/(?!\n)\p{Cc}/gu, ''));
  return new TextDecoder().decode(bytes.subarray(0, LONGEST_OUTPUT), { stream: true }).trim();
}
