import type { Health, HealthStatus, Service } from '../../services/index.ts';
import { checkContent } from '../content.ts';

/** A check as the catalogue holds it: what Consul calls a health check, of one service. */
export interface CheckState {
  /** `service:<service id>`, as Consul's agent names the check of a service. */
  readonly id: string;
  readonly name: string;
  /** Consul's `Type`; empty for maintenance mode. */
  readonly type: 'http' | 'tcp' | 'grpc' | 'script' | 'ttl' | '';
  readonly status: HealthStatus;
  readonly notes: string;
  readonly output: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

export const checkId = (serviceId: string) => `service:${serviceId}`;
const maintenanceId = (serviceId: string) => `_service_maintenance:${serviceId}`;

/** The service of a check that a client names. */
export const serviceOfCheck = (id: string) => (id.startsWith('service:') ? id.slice('service:'.length) : undefined);

/** The checks of a service that is registered, or re-registered: a check that is the same as before keeps its state. */
export function checksOf(
  service: Service,
  index: number,
  before?: { service: Service; checks: readonly CheckState[] },
) {
  const checks: CheckState[] = [];
  const own = ownCheck(service, index, before);
  if (own !== undefined) checks.push(own);
  const maintenance = maintenanceCheck(service, index, before?.checks);
  if (maintenance !== undefined) checks.push(maintenance);
  return checks;
}

/** Passing before warning before critical: an instance is as well as its worst check, a name as its worst instance. */
export function worst(parts: readonly { readonly status: HealthStatus }[]): HealthStatus {
  if (parts.some(({ status }) => status === 'critical')) return 'critical';
  return parts.some(({ status }) => status === 'warning') ? 'warning' : 'passing';
}

function ownCheck(
  service: Service,
  index: number,
  before: { service: Service; checks: readonly CheckState[] } | undefined,
): CheckState | undefined {
  const { check } = service;
  if (check === undefined) return undefined;
  const id = checkId(service.id);
  const name = check.type === 'docker' ? "Docker's health of the container" : `Service '${service.name}' check`;
  const type = check.type === 'docker' ? 'ttl' : check.type;
  const old = before?.checks.find((state) => state.id === id);
  const same = old !== undefined && before !== undefined && checkContent(before.service) === checkContent(service);
  const now = check.type !== 'docker' && same ? old : initial(service);
  return restate(old, { id, name, type, notes: '', status: now.status, output: now.output }, index);
}

/** Consul starts checks critical: an instance is not handed out before it was seen to work. */
function initial({ check, health }: Service): Health {
  if (check?.type === 'script') return { status: 'passing', output: 'Scripts are not run by the embedded catalogue.' };
  if (check?.type === 'docker' && health !== undefined) return health;
  return { status: check?.initialStatus ?? 'critical', output: '' };
}

/** Docker's word on a container whose check is another one, as Consul shows it: maintenance mode. */
function maintenanceCheck(
  service: Service,
  index: number,
  before: readonly CheckState[] | undefined,
): CheckState | undefined {
  if (service.check?.type === 'docker' || service.health?.status !== 'critical') return undefined;
  const id = maintenanceId(service.id);
  const old = before?.find((state) => state.id === id);
  const notes = service.health.output;
  return restate(old, { id, name: 'Service Maintenance Mode', type: '', notes, status: 'critical', output: '' }, index);
}

/** The state with its indexes; the very same object where nothing changed that wakes a watcher. */
export function restate(
  old: CheckState | undefined,
  now: Omit<CheckState, 'createIndex' | 'modifyIndex'>,
  index: number,
): CheckState {
  if (old === undefined) return { ...now, createIndex: index, modifyIndex: index };
  // A new output alone is no change: it may be another each time, and nobody is to be woken for that.
  if (old.status === now.status && old.notes === now.notes && old.name === now.name && old.type === now.type) {
    return old.output === now.output ? old : { ...old, output: now.output };
  }
  return { ...now, createIndex: old.createIndex, modifyIndex: index };
}
