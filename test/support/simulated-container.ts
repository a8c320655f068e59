import { hash } from 'node:crypto';
import type { PortBinding } from '../../src/docker/index.ts';

/** What `docker create` is told. */
export interface ContainerSpec {
  readonly name?: string;
  /** A name, or the ID of an image that `addImage` made; `web:latest`. */
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `KEY=value`. */
  readonly env?: readonly string[];
  /** e.g. `80/tcp`; published ports are exposed without being named here. */
  readonly expose?: readonly string[];
  /** By container port, e.g. `80/tcp`: the host port on every address (0: any that is free), or the bindings themselves. */
  readonly publish?: Readonly<Record<string, number | readonly PortBinding[]>>;
  /** `default`, `host`, `none`, a network's name, or `container:<id>`. */
  readonly network?: string;
  /** The image has a HEALTHCHECK. */
  readonly healthcheck?: boolean;
}

type Status = 'created' | 'running' | 'paused' | 'restarting' | 'exited';
export type HealthStatus = 'starting' | 'healthy' | 'unhealthy';

/** Of a container in a network. Without an address while the container does not run. */
export interface Endpoint {
  readonly networkId: string;
  readonly address: string;
  readonly gateway: string;
}

export interface Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly image: string;
  readonly imageId: string;
  /** Nanoseconds since the epoch. */
  readonly created: bigint;
  name: string;
  status: Status;
  exitCode: number;
  startedAt: bigint;
  finishedAt: bigint;
  health: HealthStatus | undefined;
  /** Published ports while it runs. */
  ports: Readonly<Record<string, readonly PortBinding[]>>;
  networks: Map<string, Endpoint>;
}

export const isUp = ({ status }: Container) => status === 'running' || status === 'paused';

/** `container` as `GET /containers/{id}/json` of API 1.41 answers, every field that dockerd 20.10 gives included. */
export function inspection(container: Container): unknown {
  const { id, spec, status, name } = container;
  const up = isUp(container);
  const main = container.networks.get('bridge');
  const address = main === undefined ? NO_ENDPOINT : addressFields(main);
  return {
    Id: id,
    Created: rfc3339(container.created),
    Path: 'sh',
    Args: COMMAND,
    State: {
      Status: status,
      Running: up || status === 'restarting',
      Paused: status === 'paused',
      Restarting: status === 'restarting',
      OOMKilled: false,
      Dead: false,
      Pid: up ? 4711 : 0,
      ExitCode: container.exitCode,
      Error: '',
      StartedAt: rfc3339(container.startedAt),
      FinishedAt: rfc3339(container.finishedAt),
      ...(container.health === undefined ? {} : { Health: healthOf(container.health) }),
    },
    Image: container.imageId,
    ResolvConfPath: `/var/lib/docker/containers/${id}/resolv.conf`,
    HostnamePath: `/var/lib/docker/containers/${id}/hostname`,
    HostsPath: `/var/lib/docker/containers/${id}/hosts`,
    LogPath: `/var/lib/docker/containers/${id}/${id}-json.log`,
    Name: `/${name}`,
    RestartCount: 0,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: { ...HOST_CONFIG, NetworkMode: networkMode(spec), PortBindings: requested(spec) },
    GraphDriver: { Data: layers(id), Name: 'overlay2' },
    Mounts: [],
    Config: {
      Hostname: id.slice(0, 12),
      ...CONFIG,
      ExposedPorts: Object.fromEntries(exposed(spec).map((port) => [port, {}])),
      Env: spec.env ?? null,
      Cmd: ['sh', ...COMMAND],
      ...(spec.healthcheck ? { Healthcheck: { Test: ['CMD-SHELL', 'test -e /tmp/well'], Interval: 1e9 } } : {}),
      Image: container.image,
      Labels: spec.labels ?? {},
    },
    NetworkSettings: {
      Bridge: '',
      SandboxID: up ? digest(`sandbox ${id}`) : '',
      HairpinMode: false,
      LinkLocalIPv6Address: '',
      LinkLocalIPv6PrefixLen: 0,
      Ports: up ? portsWithExposed(container) : {},
      SandboxKey: up ? `/var/run/docker/netns/${id.slice(0, 12)}` : '',
      SecondaryIPAddresses: null,
      SecondaryIPv6Addresses: null,
      ...address,
      Networks: networksOf(container, true),
    },
  };
}

/** Of a listing's entry, what stands before and after its uptime, which is another at every call. */
export interface ListEntry {
  readonly before: string;
  readonly after: string;
}

/** @param reversed Docker lists ports in an order that changes from call to call */
export function listEntry(container: Container, reversed: boolean): ListEntry {
  const { id, spec } = container;
  const ports = isUp(container) ? Object.entries(portsWithExposed(container)).flatMap(listedPorts) : [];
  const before = JSON.stringify({
    Id: id,
    Names: [`/${container.name}`],
    Image: container.image,
    ImageID: container.imageId,
    Command: `sh ${COMMAND.join(' ')}`,
    Created: Number(container.created / 1_000_000_000n),
    Ports: reversed ? ports.reverse() : ports,
    Labels: spec.labels ?? {},
    State: container.status,
  });
  const after = JSON.stringify({
    HostConfig: { NetworkMode: networkMode(spec) },
    NetworkSettings: { Networks: networksOf(container, false) },
    Mounts: [],
  });
  return { before: `${before.slice(0, -1)},"Status":"`, after: `",${after.slice(1)}` };
}

/** As a listing says how long it is up or down. */
export function statusText(container: Container, now: bigint): string {
  const { status, health, exitCode } = container;
  if (status === 'created') return 'Created';
  if (status === 'exited') return `Exited (${exitCode}) ${span(now - container.finishedAt)} ago`;
  if (status === 'restarting') return `Restarting (${exitCode}) ${span(now - container.finishedAt)} ago`;
  const up = `Up ${span(now - container.startedAt)}`;
  if (status === 'paused') return `${up} (Paused)`;
  if (health === undefined) return up;
  return `${up} (${health === 'starting' ? 'health: starting' : health})`;
}

/** The name that a network mode gives the network that the container joins; undefined: none of its own. */
export function ownNetwork({ network = 'default' }: ContainerSpec): string | undefined {
  if (network.startsWith('container:')) return undefined;
  return network === 'default' ? 'bridge' : network;
}

export const digest = (text: string) => hash('sha256', text);

const COMMAND = ['-c', "trap 'exit 0' TERM INT; sleep 2147483647 & wait"];
const networkMode = ({ network = 'default' }: ContainerSpec) => network;

function exposed({ expose = [], publish = {} }: ContainerSpec): string[] {
  return [...new Set([...expose, ...Object.keys(publish)])].sort();
}

function portsWithExposed({ spec, ports, networks }: Container): Record<string, readonly PortBinding[] | null> {
  if (networks.size === 0 || networks.has('host') || networks.has('none')) return {};
  return Object.fromEntries(exposed(spec).map((port) => [port, ports[port] ?? null]));
}

function listedPorts([port, bindings]: [string, readonly PortBinding[] | null]): unknown[] {
  const [number = '', Type = 'tcp'] = port.split('/');
  const PrivatePort = Number(number);
  if (bindings === null) return [{ PrivatePort, Type }];
  return bindings.map(({ HostIp, HostPort }) => ({ IP: HostIp, PrivatePort, PublicPort: Number(HostPort), Type }));
}

function requested({ publish = {} }: ContainerSpec): Record<string, readonly PortBinding[]> {
  return Object.fromEntries(
    Object.entries(publish).map(([port, host]) => [
      port,
      typeof host === 'number' ? [{ HostIp: '', HostPort: host === 0 ? '' : String(host) }] : host,
    ]),
  );
}

/** @param aliases a listing leaves them out */
function networksOf({ id, networks }: Container, aliases: boolean): Record<string, unknown> {
  return Object.fromEntries(
    [...networks].map(([name, endpoint]) => [
      name,
      {
        IPAMConfig: name === 'bridge' ? null : {},
        Links: null,
        Aliases: aliases && !PREDEFINED.has(name) ? [id.slice(0, 12)] : null,
        NetworkID: endpoint.networkId,
        ...addressFields(endpoint),
        DriverOpts: null,
      },
    ]),
  );
}

const PREDEFINED = new Set(['bridge', 'host', 'none']);

function addressFields({ networkId, address, gateway }: Endpoint) {
  if (address === '') return NO_ENDPOINT;
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return {
    EndpointID: digest(`endpoint ${networkId} ${address}`),
    Gateway: gateway,
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: address,
    IPPrefixLen: 16,
    IPv6Gateway: '',
    MacAddress: `02:42:${bytes.join(':')}`,
  };
}

const NO_ENDPOINT = {
  EndpointID: '',
  Gateway: '',
  GlobalIPv6Address: '',
  GlobalIPv6PrefixLen: 0,
  IPAddress: '',
  IPPrefixLen: 0,
  IPv6Gateway: '',
  MacAddress: '',
};

function healthOf(status: HealthStatus): unknown {
  const ExitCode = status === 'healthy' ? 0 : 1;
  const Log = status === 'starting' ? [] : [{ Start: rfc3339(0n), End: rfc3339(0n), ExitCode, Output: status }];
  return { Status: status, FailingStreak: status === 'unhealthy' ? 3 : 0, Log };
}

/** With nanoseconds; Go's zero time for 0. */
function rfc3339(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0001-01-01T00:00:00Z';
  const seconds = new Date(Number(nanoseconds / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(nanoseconds % 1_000_000_000n).padStart(9, '0')}Z`;
}

/** As Docker's units.HumanDuration has it, up to hours. */
function span(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (seconds < 120) return 'About a minute';
  if (seconds < 46 * 60) return `${Math.floor(seconds / 60)} minutes`;
  const hours = Math.round(seconds / 3_600);
  return hours === 1 ? 'About an hour' : `${hours} hours`;
}

function layers(id: string): Record<string, string> {
  const folder = `/var/lib/docker/overlay2/${id}`;
  return {
    LowerDir: `${folder}-init/diff:/var/lib/docker/overlay2/${digest('base')}/diff`,
    MergedDir: `${folder}/merged`,
    UpperDir: `${folder}/diff`,
    WorkDir: `${folder}/work`,
  };
}

const CONFIG = {
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
};

const HOST_CONFIG = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: 'json-file', Config: {} },
  RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'host',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: 67_108_864,
  Runtime: 'runc',
  ConsoleSize: [0, 0],
  Isolation: '',
  CpuShares: 0,
  Memory: 0,
  NanoCpus: 0,
  CgroupParent: '',
  BlkioWeight: 0,
  BlkioWeightDevice: [],
  BlkioDeviceReadBps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteIOps: [],
  CpuPeriod: 0,
  CpuQuota: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  CpusetCpus: '',
  CpusetMems: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  KernelMemory: 0,
  KernelMemoryTCP: 0,
  MemoryReservation: 0,
  MemorySwap: 0,
  MemorySwappiness: null,
  OomKillDisable: false,
  PidsLimit: null,
  Ulimits: [],
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
  MaskedPaths: [
    ...['/proc/asound', '/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
    ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
  ],
  ReadonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
};
