import type { Service } from '../services/index.ts';

export type Action = 'register' | 'refresh' | 'deregister';

/** Told of what is written to registries, as it happens: for metrics. A method must be quick, and must not throw. */
export interface WriteObserver {
  /** @param service absent where what was removed was not written by this process */
  done(registry: string, action: Action, service: Service | undefined): void;
  failed(registry: string, action: Action, error: Error): void;
}

/** A service that waits because somebody else holds its entry. */
export interface Conflict {
  readonly containerId: string;
  readonly containerName: string;
  readonly serviceId: string;
  readonly service: string;
  /** As words for a sentence, such as `registrator on host "b"`. */
  readonly holder: string;
}

/** What a registry does not hold as it should, and why. */
export interface Difference {
  /** `missing`: not there; `other`: there with another content; `extra`: there and not wanted; `conflict`: somebody else's. */
  readonly kind: 'missing' | 'other' | 'extra' | 'health' | 'conflict';
  /** The service's ID, and its name. */
  readonly id: string;
  readonly service: string;
  /** Absent where no container here means it. */
  readonly containerId?: string;
  /** Addresses with ports. */
  readonly wanted?: string;
  readonly there?: string;
  /** A sentence that says what happens next. */
  readonly why: string;
}

/** Where it stands now with one registry. */
export interface RegistryStatus {
  readonly name: string;
  /** Whether it answers, and was read. */
  readonly up: boolean;
  /** Services that it should hold. */
  readonly services: number;
  /** Entries that wait to be written, or are being written. */
  readonly queue: number;
  /** Entries that could not be written, and are tried again later. */
  readonly failing: number;
  readonly conflicts: readonly Conflict[];
  /** When it was last read and compared as a whole, in milliseconds since the epoch. */
  readonly resyncedAt?: number;
}
