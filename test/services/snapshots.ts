import type { ContainerSnapshot } from '../../src/docker/index.ts';
import {
  type Derivation,
  type DeriveContext,
  type DeriveOptions,
  derive,
  type Service,
} from '../../src/services/index.ts';

export const ID = 'ce9152e442a57f5456f744e370e461fd76477f5b222bb01ae854f897bc85f7ac';
export const IMAGE_ID = 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

export interface Sample {
  readonly id?: string;
  readonly name?: string;
  readonly image?: string;
  readonly exposed?: readonly string[];
  /** Host ports by container port: `{ '80/tcp': ['8080', '127.0.0.1:8081', '[::]:8080'] }`. */
  readonly published?: Readonly<Record<string, readonly string[]>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly networkMode?: string;
  readonly address?: string;
  readonly address6?: string;
  readonly networks?: ContainerSnapshot['NetworkSettings']['Networks'];
  readonly state?: Partial<ContainerSnapshot['State']>;
}

/** A running redis on the default bridge, its port published at 10.0.0.1's port 16379 by every address of the host. */
export function snapshot(sample: Sample = {}): ContainerSnapshot {
  const published = sample.published ?? { '6379/tcp': ['16379'] };
  const exposed = sample.exposed ?? Object.keys(published);
  const unpublished = exposed.map((port): [string, null] => [port, null]);
  const bindings = Object.entries(published).map(([port, hosts]) => [port, hosts.map(binding)] as const);
  return {
    Id: sample.id ?? ID,
    Name: `/${sample.name ?? 'web'}`,
    Image: IMAGE_ID,
    Config: {
      Image: sample.image ?? 'redis',
      Env: Object.entries(sample.env ?? {}).map(([key, value]) => `${key}=${value}`),
      Labels: sample.labels ?? {},
      ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])),
    },
    State: {
      Status: 'running',
      Running: true,
      Paused: false,
      ExitCode: 0,
      StartedAt: '2026-11-25T08:00:00.123456789Z',
      ...sample.state,
    },
    HostConfig: { NetworkMode: sample.networkMode ?? 'bridge' },
    NetworkSettings: {
      IPAddress: sample.address ?? (sample.networks === undefined ? '172.17.0.2' : ''),
      GlobalIPv6Address: sample.address6 ?? '',
      Ports: Object.fromEntries([...unpublished, ...bindings]),
      Networks: sample.networks ?? { bridge: { IPAddress: sample.address ?? '172.17.0.2' } },
    },
  };
}

function binding(host: string): { HostIp: string; HostPort: string } {
  const cut = host.lastIndexOf(':');
  return cut < 0
    ? { HostIp: '0.0.0.0', HostPort: host }
    : { HostIp: host.slice(0, cut).replace(/^\[|\]$/g, ''), HostPort: host.slice(cut + 1) };
}

export const OPTIONS: DeriveOptions = {
  hostname: 'node1',
  hostAddress: { 4: '10.0.0.1', 6: '2001:db8::1' },
  ownNetwork: false,
  ipFamily: 4,
  internal: false,
  explicit: false,
  ipFromContainer: false,
  dockerHealth: true,
  healthTtl: 86_400,
  drain: false,
  requireHealthy: false,
  composeNames: false,
  swarm: false,
};

export function deriveSample(
  sample: Sample = {},
  options: Partial<DeriveOptions> = {},
  context: DeriveContext = {},
): Derivation {
  return derive(snapshot(sample), { ...OPTIONS, ...options }, context);
}

/** The one service that the sample means. */
export function only(sample: Sample = {}, options: Partial<DeriveOptions> = {}, context: DeriveContext = {}): Service {
  const { services } = deriveSample(sample, options, context);
  const [service] = services;
  if (service === undefined || services.length > 1) throw new Error(`${services.length} services instead of one`);
  return service;
}

/** Notices of a level, without what every one begins with. */
export function told(derivation: Derivation, level: 'debug' | 'info' | 'warn' = 'warn'): readonly string[] {
  return derivation.notices
    .filter((notice) => notice.level === level)
    .map(({ message }) => message.replace('Container web: ', ''));
}
