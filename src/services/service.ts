/** What registrator registers: one port of one container. No I/O here or anywhere in this folder. */

export type Protocol = 'tcp' | 'udp' | 'sctp';

export interface Service {
  /** Unique on the registry, e.g. `node1:redis:6379`. */
  readonly id: string;
  readonly name: string;
  /** An IPv4 or IPv6 address without brackets, or whatever a label asked for. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly tags: readonly string[];
  /** Every `SERVICE_*` field that has no meaning of its own, lower case, the `check_*` fields included. */
  readonly meta: Readonly<Record<string, string>>;
  readonly check?: Check;
  /** Seconds after which an entry that is not refreshed may expire (`--ttl`). */
  readonly ttl?: number;
  /** `SERVICE_WEIGHT`: the SRV weight, and Consul's weight while passing. */
  readonly weight?: number;
  /** Leaves as soon as Docker begins to stop its container, which serves on for a while (`--drain`, `SERVICE_DRAIN`). */
  readonly drain?: true;
  /**
   * Not to be held, for now, by a registry that shows nobody a service's health: the container's HEALTHCHECK does not say
   * `healthy` (`--require-healthy`, `SERVICE_REQUIRE_HEALTHY`).
   */
  readonly unready?: true;
  /** `SERVICE_ENABLE_TAG_OVERRIDE=true`, as Consul knows it. */
  readonly enableTagOverride?: boolean;
  /** Set when Docker itself says how the container is: its HEALTHCHECK, or that it is paused. */
  readonly health?: Health;
  /** Set where a label names an address that is neither the container's own nor this host's. */
  readonly elsewhere?: boolean;
  readonly origin: Origin;
}

export type HealthStatus = 'passing' | 'warning' | 'critical';

export interface Health {
  readonly status: HealthStatus;
  /** One sentence for people, e.g. `container is paused`. */
  readonly output: string;
}

/** Where a service comes from; never written to a registry as part of the service's content. */
interface Origin {
  readonly containerId: string;
  /** Without the leading slash. */
  readonly containerName: string;
  readonly image: string;
  /** The port as the image exposes it. */
  readonly exposedPort: number;
  /** Milliseconds since the epoch at which the container started; 0 where Docker does not say. */
  readonly startedAt: number;
  /** Names of the networks that the container is in, the one it was started in first. */
  readonly networks?: readonly string[];
  readonly sources?: Sources;
}

/**
 * Where each field of a service was found, in words: `label SERVICE_NAME`, `--ip`, `default: the image`. By field; one of
 * the metadata as `meta.<key>`.
 */
export type Sources = Readonly<Record<string, string>>;

/** Durations are Go duration strings that Consul accepts (`10s`, `1m30s`). */
export type Check = (
  | HttpCheck
  | { readonly type: 'tcp'; readonly target: string }
  | { readonly type: 'grpc'; readonly target: string; readonly useTls: boolean }
  /** A command on the registry's host: `SERVICE_CHECK_SCRIPT`, or `check-cmd` for `SERVICE_CHECK_CMD`. */
  | { readonly type: 'script'; readonly args: readonly string[] }
  /** Somebody else reports within the TTL. */
  | { readonly type: 'ttl'; readonly ttl: string }
  /** The container's own HEALTHCHECK, which registrator reports from `Service.health` within the TTL. */
  | { readonly type: 'docker'; readonly ttl: string }
) &
  CheckTiming;

export interface HttpCheck {
  readonly type: 'http';
  /** `http://` or `https://`, an IPv6 address in brackets. */
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
}

export interface CheckTiming {
  /** Absent for ttl and docker checks. */
  readonly interval?: string;
  readonly timeout?: string;
  readonly tlsSkipVerify?: boolean;
  readonly initialStatus?: HealthStatus;
  /** Remove the service after it was critical for this long. */
  readonly deregisterAfter?: string;
}
