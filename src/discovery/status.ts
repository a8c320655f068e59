import type { ContainerEvent } from '../docker/index.ts';

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
}
