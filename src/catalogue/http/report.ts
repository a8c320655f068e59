import type { HttpAnswer, HttpRoute } from '../../lib/http/route.ts';
import type { HealthStatus } from '../../services/index.ts';
import { ApiError } from './error.ts';

/** Takes an application's word on its TTL check; false where there is no such check. */
export type Report = (checkId: string, status: HealthStatus, output: string) => boolean;

const ACTIONS = [
  ['pass', 'passing'],
  ['warn', 'warning'],
  ['fail', 'critical'],
] as const satisfies readonly (readonly [string, HealthStatus])[];

/** Where applications report their TTL checks: `/v1/agent/check/pass/:id` and its like. */
export function reportRoutes(report: Report): readonly HttpRoute[] {
  const taken = (checkId: string, status: HealthStatus, output: string): HttpAnswer => {
    if (report(checkId, status, output)) return { status: 200, body: '' };
    throw new ApiError(500, `CheckID "${checkId.slice(0, 256)}" does not have associated TTL`);
  };
  const words = ACTIONS.map(([action, status]): HttpRoute => {
    const path = `/v1/agent/check/${action}/*`;
    return { method: 'PUT', path, answer: ({ rest, query }) => taken(rest, status, query.get('note') ?? '') };
  });
  const update: HttpRoute = {
    method: 'PUT',
    path: '/v1/agent/check/update/*',
    answer: ({ rest, body }) => {
      const { status, output } = parseUpdate(body);
      return taken(rest, status, output);
    },
  };
  return [...words, update];
}

/** The body of `/v1/agent/check/update`. */
function parseUpdate(body: string): { status: HealthStatus; output: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new ApiError(400, 'Request decode failed: the body is no JSON');
  }
  const { Status: status, Output: output } = Object(parsed) as { Status?: unknown; Output?: unknown };
  if (status !== 'passing' && status !== 'warning' && status !== 'critical') {
    throw new ApiError(400, `Invalid check status: '${String(status ?? '').slice(0, 64)}'`);
  }
  return { status, output: typeof output === 'string' ? output : '' };
}
