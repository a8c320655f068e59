import { hostPort } from '../lib/host-port.ts';
import { ConflictError, type Entry, RefusedError } from '../registries/index.ts';
import { isOwnId, type WantedEntry } from './claim-table.ts';
import type { Difference } from './status.ts';

/** What keeps an entry from being put right. */
interface Obstacle {
  /** Whether the registry answers. */
  readonly up: boolean;
  /** Of the last try. */
  readonly error: Error | undefined;
  /** Whether it is in dispute: somebody else changes it back. */
  readonly waits: boolean;
  /** Whether the registry removed it by itself, and it has to stay away still. */
  readonly expelled: boolean;
}

/** How an entry that is not as it should be differs, and why. One of the two is there. */
export function difference(wanted: WantedEntry | undefined, there: Entry | undefined, obstacle: Obstacle): Difference {
  const { id = '', name = '' } = wanted?.entry ?? there ?? {};
  return {
    kind: kindOf(wanted?.entry, there, obstacle.error),
    id,
    service: name,
    ...(wanted === undefined
      ? {}
      : { containerId: wanted.service.origin.containerId, wanted: addressOf(wanted.entry) }),
    ...(there === undefined ? {} : { there: addressOf(there) }),
    why: why(obstacle),
  };
}

/** Two containers want one entry: what the one that does not have it is told. */
export function lostClaim({ service, entry }: WantedEntry, holder: WantedEntry): Difference {
  return {
    kind: 'conflict',
    id: entry.id,
    service: entry.name,
    containerId: service.origin.containerId,
    wanted: addressOf(entry),
    there: addressOf(holder.entry),
    why: `Container ${holder.service.origin.containerName} has the same entry, ${isOwnId(holder.service) ? 'whose own ID it is' : 'and started last'}: give each a SERVICE_ID of its own.`,
  };
}

function kindOf(wanted: Entry | undefined, there: Entry | undefined, error: Error | undefined): Difference['kind'] {
  if (error instanceof ConflictError) return 'conflict';
  if (wanted === undefined) return 'extra';
  if (there === undefined) return 'missing';
  return wanted.content === there.content ? 'health' : 'other';
}

function why({ up, error, waits, expelled }: Obstacle): string {
  if (!up) return 'The registry does not answer; it is written as soon as it does.';
  if (waits)
    return 'Somebody else changes it back each time; it is left alone for a while. Is there a second registrator?';
  if (expelled) return 'The registry removed it, critical for longer than it may be; it comes back later.';
  if (error === undefined) return 'It is being written.';
  const again = error instanceof RefusedError ? 'it is tried again later' : 'it is tried again';
  return `${error.message.replace(/[.\s]+$/, '')}; ${again}.`;
}

const addressOf = ({ address, port }: Entry) => hostPort(address, port);
