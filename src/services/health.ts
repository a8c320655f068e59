import type { Container } from './container.ts';
import type { Health, HealthStatus } from './service.ts';

/** Consul cuts outputs at this many bytes as well. */
const LONGEST_OUTPUT = 4_096;

const STATUS = new Map<string, HealthStatus>([
  ['starting', 'warning'],
  ['healthy', 'passing'],
  ['unhealthy', 'critical'],
]);

export const PAUSED: Health = { status: 'critical', output: 'container is paused' };

/** What the container's HEALTHCHECK says; undefined where it has none. */
export function dockerHealth({ healthcheck }: Container): Health | undefined {
  const status = STATUS.get(healthcheck?.status ?? '');
  if (healthcheck === undefined || status === undefined) return undefined;
  return { status, output: printable(healthcheck.output) || `container is ${healthcheck.status}` };
}

/** Without control characters but line feeds, and whole characters only. */
function printable(output: string): string {
  const bytes = Buffer.from(output.slice(0, LONGEST_OUTPUT).replace(/(?!\n)\p{Cc}/gu, ''));
  return new TextDecoder().decode(bytes.subarray(0, LONGEST_OUTPUT), { stream: true }).trim();
}
