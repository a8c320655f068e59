import type { ContainerEvent } from '../docker/index.ts';
import type { IgnoredPort } from '../services/index.ts';

/** Told of what Docker says, as it is heard: for metrics. A method must be quick, and must not throw. */
export interface ContainerObserver {
  containerEvent(event: ContainerEvent): void;
}

/** Where it stands now with Docker. */
export interface DockerStatus {
  readonly connected: boolean;
  /** Event streams opened so far. */
  readonly streams: number;
  /** Whether every container was looked at since the start. */
  readonly complete: boolean;
  /** Why published ports wait for the host's address; absent where none does. */
  readonly waits?: string;
  /** Containers that run and have ports that are not registered, or no port at all. */
  readonly unregistered: readonly UnregisteredContainer[];
}

export interface UnregisteredContainer {
  readonly containerId: string;
  readonly containerName: string;
  readonly image: string;
  readonly ports: readonly IgnoredPort[];
}
