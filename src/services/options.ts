import type { ContainerSnapshot } from '../docker/index.ts';
import type { TagTemplate } from '../template/index.ts';
import type { Service } from './service.ts';

/** What the flags say about deriving services. Host-wide: read once at the start. */
export interface DeriveOptions {
  /** First part of service IDs. */
  readonly hostname: string;
  /** `--ip`: forced host address, v4 or v6. */
  readonly ip?: string;
  /** The host's own address by family, already resolved; absent where there is none but loopback. */
  readonly hostAddress: { readonly 4?: string; readonly 6?: string };
  /** Whether registrator is in a container's network, from which the host's address cannot be seen. */
  readonly ownNetwork: boolean;
  readonly ipFamily: 4 | 6;
  readonly internal: boolean;
  readonly explicit: boolean;
  /** `--network`: the network whose address a container is known by. */
  readonly network?: string;
  readonly useIpFromLabel?: string;
  /** `--ip-from-container` of fayrus/registrator: the container's address with the host's port choice as by mode. */
  readonly ipFromContainer: boolean;
  /** `--tags`, parsed. */
  readonly tags?: TagTemplate;
  /** `--ttl`, seconds. */
  readonly ttl?: number;
  /** Whether an image's HEALTHCHECK becomes a check where no other is asked for. */
  readonly dockerHealth: boolean;
  /** `--health-ttl`, seconds: how long what Docker last said of a container's health holds on the registry. */
  readonly healthTtl: number;
  /** `--drain`: services leave as soon as Docker begins to stop their container. */
  readonly drain: boolean;
  /** `--require-healthy`: where a registry has no health, it holds healthy containers only. */
  readonly requireHealthy: boolean;
  /** `--compose-names`: a container is named by its Compose service where no field names it. */
  readonly composeNames: boolean;
  /** `--swarm`: a task is named by its Swarm service, and has that one's labels and ingress ports. */
  readonly swarm: boolean;
}

/** Something a person should know about one container; logged once. */
export interface Notice {
  readonly level: 'debug' | 'info' | 'warn';
  /** A whole sentence that names the label or port at fault and what was done instead. */
  readonly message: string;
}

export interface IgnoredPort {
  /** As Docker writes it, `6379/tcp`. */
  readonly port: string;
  /** e.g. `not published; use --internal or SERVICE_INTERNAL=true`. */
  readonly reason: string;
}

export interface Derivation {
  readonly services: readonly Service[];
  readonly notices: readonly Notice[];
  readonly ignored: readonly IgnoredPort[];
  /** Why a port waits for the host's address; absent where none does. */
  readonly waits?: string;
  /**
   * URLs that a `--tags` template asks for with httpGet and that `DeriveContext.fetched` lacks. When not empty, the
   * caller fetches them and derives again; the services here are not to be used.
   */
  readonly fetches: readonly string[];
}

/** What deriving needs beside the container itself. */
export interface DeriveContext {
  /** The container whose network this one joins (`--network container:<id>`), where it was found. */
  readonly joined?: ContainerSnapshot;
  /** Bodies by URL for httpGet; an empty string where the fetch failed. */
  readonly fetched?: ReadonlyMap<string, string>;
  /** The image's own tags (`RepoTags` of its inspection); only read where `needsImageTags` says so. */
  readonly imageTags?: readonly string[];
  /** Docker's answer to `GET /services/{id}` for the service that `swarmServiceId` names; read with care. */
  readonly swarmService?: unknown;
}
