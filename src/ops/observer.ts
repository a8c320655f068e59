import type { ContainerObserver, DockerStatus } from '../discovery/index.ts';
import type { RegistryStatus, WriteObserver } from '../reconciler/index.ts';

/** Told of everything that happens, as it happens. */
export type Observer = ContainerObserver & WriteObserver;

/** Where registrator stands now. */
export interface Status {
  /** Absent until Docker has answered for the first time. */
  readonly docker?: DockerStatus;
  readonly registries: readonly RegistryStatus[];
}
