import type { CatalogueSettings } from './catalogue/index.ts';
import type { HostPort } from './lib/host-port.ts';
import type { LogFormat, LogLevel } from './lib/log/index.ts';

import type { RegistryPlugin } from './registries/index.ts';
import type { TagTemplate } from './services/index.ts';

/** What a registrator is started with; cli.ts makes it of argv and the environment. Times in seconds but where said. */
export interface Options {
  /** Registry URIs, at least one. */
  readonly registries: readonly string[];
  readonly ip?: string;
  readonly ipFamily: 4 | 6;
  readonly hostname?: string;
  readonly internal: boolean;
  readonly explicit: boolean;
  readonly network?: string;
  readonly useIpFromLabel?: string;
  readonly ipFromContainer: boolean;
  /** Name containers by their Compose service where no label names them. */
  readonly composeNames: boolean;
  /** Name tasks by their Swarm service, and read that one's labels and ingress ports. */
  readonly swarm: boolean;
  readonly tags?: TagTemplate;
  readonly ttl?: number;
  readonly ttlRefresh?: number;
  /** 0: never. */
  readonly resync: number;
  readonly deregister: 'always' | 'on-success';
  readonly deregisterOnExit: boolean;
  readonly dockerHealth: boolean;
  /** How long the last word on a container's HEALTHCHECK holds where registrator says no more. */
  readonly healthTtl: number;
  /** Services leave as soon as Docker begins to stop their container. */
  readonly drain: boolean;
  /** Where a registry has no health, it holds healthy containers only. */
  readonly requireHealthy: boolean;
  /** Tries of the first connection to a registry beyond the first; Infinity for ever. */
  readonly retryAttempts: number;
  /** Milliseconds. */
  readonly retryInterval: number;
  /** Where metrics and health are served over HTTP, if anywhere. Port 0: any free one. */
  readonly http?: HostPort;
  /** What the HTTP servers are called by, beside their addresses, localhost and this host's name. */
  readonly httpNames: readonly string[];
  /** What is set of the embedded catalogue, `memory://`. */
  readonly catalogue?: CatalogueSettings;
  /** Registries beside those that come with registrator. */
  readonly plugins: readonly RegistryPlugin[];
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export const DEFAULTS: Options = {
  registries: ['memory://'],
  ipFamily: 4,
  internal: false,
  explicit: false,
  ipFromContainer: false,
  composeNames: false,
  swarm: false,
  resync: 60,
  deregister: 'always',
  deregisterOnExit: false,
  dockerHealth: true,
  // A day: what an absent registrator can no longer say must take nobody out.
  healthTtl: 86_400,
  drain: true,
  requireHealthy: false,
  retryAttempts: Number.POSITIVE_INFINITY,
  retryInterval: 2000,
  httpNames: [],
  plugins: [],
  logLevel: 'info',
  logFormat: 'auto',
};
