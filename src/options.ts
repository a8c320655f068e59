import type { LogFormat, LogLevel } from './ops/index.ts';
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
  readonly tags?: TagTemplate;
  readonly ttl?: number;
  readonly ttlRefresh?: number;
  /** 0: never. */
  readonly resync: number;
  readonly deregister: 'always' | 'on-success';
  readonly deregisterOnExit: boolean;
  readonly dockerHealth: boolean;
  /** Tries of the first connection to a registry beyond the first; Infinity for ever. */
  readonly retryAttempts: number;
  /** Milliseconds. */
  readonly retryInterval: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}
