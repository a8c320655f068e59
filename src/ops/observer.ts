import type { ContainerObserver, DockerStatus } from '../discovery/index.ts';
import type { DesiredState, Difference, RegistryStatus, WriteObserver } from '../reconciler/index.ts';

/** Told of everything that happens, as it happens. */
export type Observer = ContainerObserver & WriteObserver;

/** Where registrator stands now. */
export interface Status {
  /** Absent until Docker has answered for the first time. */
  readonly docker?: DockerStatus;
  readonly registries: readonly RegistryStatus[];
}

/** The part of a registrator that is shown. */
export interface Overseen {
  readonly hostname: string;
  readonly desired: DesiredState;
  readonly status: Status;
  /** What each registry does not hold as it should, in the order of `status.registries`. */
  readonly differences: readonly (readonly Difference[])[];
}
