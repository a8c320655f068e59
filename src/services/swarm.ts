import type { ContainerSnapshot } from '../docker/index.ts';
import { portNumber } from '../lib/host-port.ts';
import { list, record, text } from '../lib/read.ts';
import { byNumber, type Container, type ContainerPort } from './container.ts';
import type { DeriveOptions } from './options.ts';
import type { Protocol } from './service.ts';

/** Labels that Swarm and Compose put on the containers that they make. */
const SWARM_NAME = 'com.docker.swarm.service.name';
const SWARM_ID = 'com.docker.swarm.service.id';
const COMPOSE_NAME = 'com.docker.compose.service';

/** The network that brings ingress traffic to tasks; nobody else reaches it. */
const INGRESS = 'ingress';

/** The ID of the Swarm service that the container is a task of, if it is one. */
export function swarmServiceId(snapshot: ContainerSnapshot): string | undefined {
  return text(record(record(record(snapshot).Config).Labels)[SWARM_ID]) || undefined;
}

export const isTask = ({ labels }: Container) => labels.has(SWARM_ID);

/** The name that Swarm or Compose knows the container's service by, where the flags say that it counts. */
export function orchestratorName(
  { labels }: Container,
  { swarm = false, composeNames = false }: Pick<DeriveOptions, 'swarm' | 'composeNames'>,
): string | undefined {
  return (
    (swarm ? labels.get(SWARM_NAME) : undefined) || (composeNames ? labels.get(COMPOSE_NAME) : undefined) || undefined
  );
}

/**
 * The task's container with what its service adds: the service's `SERVICE_*` labels below the container's own, and the
 * ports that Swarm publishes on every node of the ingress network, which no container shows as its own.
 *
 * @param service as Docker's `GET /services/{id}` answers
 */
export function asTask(container: Container, service: unknown): Container {
  const { Spec, Endpoint } = record(service);
  const published = list(record(Endpoint).Ports).map(record).flatMap(readIngressPort);
  const ports = new Map(container.ports.map((port) => [port.key, port]));
  for (const port of published) {
    if ((ports.get(port.key)?.bindings.length ?? 0) === 0) ports.set(port.key, port);
  }
  const labels = Object.entries(record(record(Spec).Labels)).map(([key, value]): [string, string] => [
    key,
    text(value),
  ]);
  return {
    ...container,
    labels: new Map([...labels.filter(([key]) => key.startsWith('SERVICE_')), ...container.labels]),
    ports: [...ports.values()].sort(byNumber),
    networks: container.networks.toSorted((a, b) => Number(a.name === INGRESS) - Number(b.name === INGRESS)),
  };
}

/** Ports published in host mode are on the container itself. */
function readIngressPort(port: Readonly<Record<string, unknown>>): readonly ContainerPort[] {
  const number = portNumber(String(port.TargetPort ?? ''));
  const host = portNumber(String(port.PublishedPort ?? ''));
  const protocol = text(port.Protocol) || 'tcp';
  if (number === undefined || host === undefined || port.PublishMode === 'host') return [];
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp') return [];
  return [
    {
      key: `${number}/${protocol}`,
      number,
      protocol: protocol satisfies Protocol,
      bindings: [{ address: '', port: host }],
    },
  ];
}
