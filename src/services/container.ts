import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { ContainerSnapshot } from '../docker/index.ts';
import { portNumber } from '../lib/host-port.ts';
import { list, record, text } from '../lib/read.ts';
import { shortId } from '../lib/short-id.ts';
import { MAX_BINDINGS, MAX_NETWORKS, MAX_SERVICES } from './limits.ts';
import type { Protocol } from './service.ts';

export type Family = 4 | 6;
export type Addresses = { readonly 4?: string; readonly 6?: string };

/** Where the host takes a port's traffic. */
export interface Binding {
  /** An address of the host; a wildcard as Docker writes it, or empty, for any. */
  readonly address: string;
  readonly port: number;
}

export interface ContainerPort {
  /** As Docker writes it, `6379/tcp`. */
  readonly key: string;
  readonly number: number;
  readonly protocol: Protocol;
  /** Empty when the port is exposed but not published. */
  readonly bindings: readonly Binding[];
}

export interface Network extends Addresses {
  readonly name: string;
  readonly id: string;
}

/**
 * A container as deriving sees it: every field there and of its type, whatever the engine sent. Engines differ (Docker
 * 20.10 to 29, Podman), and what is missing counts as empty.
 */
export interface Container {
  readonly id: string;
  readonly name: string;
  /** As the user asked for it: a name, or an ID. */
  readonly image: string;
  /** The content's ID, `sha256:…`. */
  readonly imageId: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly environment: ReadonlyMap<string, string>;
  /** Sorted `byNumber`. */
  readonly ports: readonly ContainerPort[];
  /** Whether it has more than these. */
  readonly hasMorePorts: boolean;
  readonly networkMode: string;
  /** On the default bridge. */
  readonly bridge: Addresses;
  /** By name. */
  readonly networks: readonly Network[];
  /** `running`, `paused`, `exited` … */
  readonly state: string;
  /** What HEALTHCHECK found, where the container has one. */
  readonly healthcheck?: { readonly status: string; readonly output: string };
  readonly startedAt: number;
}

export function readContainer(snapshot: ContainerSnapshot): Container {
  const inspection = record(snapshot);
  const config = record(inspection.Config);
  const settings = record(inspection.NetworkSettings);
  const networks = record(settings.Networks);
  const state = record(inspection.State);
  const id = text(inspection.Id);
  const healthcheck = readHealthcheck(record(state.Health));
  return {
    id,
    name: text(inspection.Name).replace(/^\//, '') || shortId(id) || 'unnamed',
    image: text(config.Image),
    imageId: text(inspection.Image),
    labels: new Map(Object.entries(record(config.Labels)).map(([key, value]) => [key, text(value)])),
    environment: readEnvironment(list(config.Env)),
    ...readPorts(record(config.ExposedPorts), record(settings.Ports)),
    networkMode: networkMode(inspection),
    // Docker 29 gives it no more apart from the other networks'.
    bridge: { ...readAddresses(record(networks.bridge)), ...readAddresses(settings) },
    networks: Object.entries(networks)
      .map(([name, network]) => ({ name, id: text(record(network).NetworkID), ...readAddresses(record(network)) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, MAX_NETWORKS),
    state: readState(state),
    ...(healthcheck && { healthcheck }),
    startedAt: Math.max(0, Date.parse(text(state.StartedAt)) || 0),
  };
}

/** The ID of the container whose network this one joins (`--network container:<id>`), if it does. */
export function joinedContainer(snapshot: ContainerSnapshot): string | undefined {
  return /^container:(.+)$/s.exec(networkMode(record(snapshot)))?.[1];
}

const networkMode = (inspection: Readonly<Record<string, unknown>>) => text(record(inspection.HostConfig).NetworkMode);

function readState(state: Readonly<Record<string, unknown>>): string {
  const status = text(state.Status);
  if (status !== '') return status.toLowerCase();
  // Engines before 1.21 of the API give the flags alone.
  if (state.Running !== true) return 'exited';
  return state.Restarting === true ? 'restarting' : state.Paused === true ? 'paused' : 'running';
}

function readHealthcheck(health: Readonly<Record<string, unknown>>): Container['healthcheck'] {
  const status = text(health.Status);
  if (status === '' || status === 'none') return undefined;
  return { status, output: text(record(list(health.Log).at(-1)).Output) };
}

function readEnvironment(entries: readonly unknown[]): ReadonlyMap<string, string> {
  const pairs = entries.map(text).map((entry): [string, string] => {
    const [key = ''] = entry.split('=', 1);
    return [key, entry.slice(key.length + 1)];
  });
  return new Map(pairs);
}

function readAddresses(source: Readonly<Record<string, unknown>>): Addresses {
  const v4 = text(source.IPAddress);
  const v6 = text(source.GlobalIPv6Address);
  return { ...(isIPv4(v4) && { 4: v4 }), ...(v6 !== '' && isIPv6(v6) && { 6: v6 }) };
}

function readPorts(
  exposed: Readonly<Record<string, unknown>>,
  published: Readonly<Record<string, unknown>>,
): Pick<Container, 'ports' | 'hasMorePorts'> {
  const ports = new Map<string, ContainerPort>();
  // Those that are published first, should there be more than count. An image may expose all ports there are.
  for (const key in published) {
    const bindings = list(published[key]);
    if (bindings.length > 0 && !add(key, bindings.slice(0, MAX_BINDINGS).flatMap(readBinding))) break;
  }
  for (const key in published) if (!add(key, [])) break;
  for (const key in exposed) if (!add(key, [])) break;
  return { ports: [...ports.values()].slice(0, MAX_SERVICES).sort(byNumber), hasMorePorts: ports.size > MAX_SERVICES };

  /** @returns whether another one counts */
  function add(name: string, bindings: readonly Binding[]): boolean {
    const [, digits = '', protocol = 'tcp'] = /^(\d+)(?:\/(tcp|udp|sctp))?$/.exec(name) ?? [];
    const number = portNumber(digits);
    const key = `${number}/${protocol}`;
    if (number !== undefined && !ports.has(key))
      ports.set(key, { key, number, protocol: protocol as Protocol, bindings });
    return ports.size <= MAX_SERVICES;
  }
}

/** The order of ports everywhere: by number, then by protocol. */
export function byNumber(a: ContainerPort, b: ContainerPort): number {
  return a.number - b.number || (a.protocol < b.protocol ? -1 : 1);
}

function readBinding(binding: unknown): readonly Binding[] {
  const address = text(record(binding).HostIp);
  const port = portNumber(text(record(binding).HostPort));
  return port === undefined ? [] : [{ address: isIP(address) === 0 ? '' : address, port }];
}
