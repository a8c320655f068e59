import type { HealthStatus } from '../../services/index.ts';
import { worst } from '../checks/state.ts';
import type { Instance, Store } from '../store.ts';
import { Outcome } from './endpoint.ts';
import { ApiError } from './error.ts';
import { agentService, check } from './shapes.ts';

/** As Consul's agent has it: what a load balancer reads without looking at the body. */
const STATUS = { passing: 200, warning: 429, critical: 503 } as const satisfies Record<HealthStatus, number>;

/** `/v1/agent/health/service/id/:id`. */
export function healthOfId(store: Store, id: string): Outcome {
  if (id === '') throw new ApiError(500, 'Bad request: Missing serviceID');
  const instance = store.get(id);
  if (instance === undefined) {
    const body = { AggregatedStatus: 'critical', Service: null, Checks: null };
    return new Outcome(404, body, `ServiceId ${id.slice(0, 256)} not found`);
  }
  return new Outcome(STATUS[instance.status], health(instance, store), instance.status);
}

/** `/v1/agent/health/service/name/:name`; unlike the catalogue's look-ups, the agent's mind case. */
export function healthOfName(store: Store, name: string): Outcome {
  if (name === '') throw new ApiError(500, 'Bad request: Missing service Name');
  const instances = store.named(name).filter(({ service }) => service.name === name);
  if (instances.length === 0) return new Outcome(404, [], `ServiceName ${name.slice(0, 256)} Not Found`);
  const status = worst(instances);
  const body = instances.map((instance) => health(instance, store));
  return new Outcome(STATUS[status], body, status);
}

function health(instance: Instance, store: Store) {
  const checks = instance.checks.map((state) => ({
    ...check({ ...state, createIndex: 0, modifyIndex: 0 }, instance, store),
    ServiceTags: instance.service.tags.length === 0 ? null : instance.service.tags,
    Type: '',
    Definition: NO_DEFINITION,
  }));
  return { AggregatedStatus: instance.status, Service: agentService(instance), Checks: checks };
}

/** The agent does not say here what a check does, but names the fields. */
const NO_DEFINITION = {
  Interval: '0s',
  Timeout: '0s',
  DeregisterCriticalServiceAfter: '0s',
  HTTP: '',
  Header: null,
  Method: '',
  Body: '',
  TLSSkipVerify: false,
  TCP: '',
};
