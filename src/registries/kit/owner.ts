import type { Owner } from '../registry.ts';

/** The owner mark, in a registry's own metadata. */
export const HOST_KEY = 'registrator-host';
const ENGINE_KEY = 'registrator-engine';

/** Who wrote an entry, as the entry itself says; a part is missing where it does not say it. */
export interface Mark {
  readonly host?: string | undefined;
  readonly engine?: string | undefined;
}

/** An entry that a registry holds, as far as it tells whose it is. */
export interface Held {
  readonly id: string;
  readonly address: string;
  /** Undefined where no registrator has marked it. */
  readonly mark: Mark | undefined;
  /** Whether it says exactly what this host would write there now, the mark aside. */
  readonly isWanted?: boolean;
}

/**
 * `twin`: of a registrator with our engine's ID, under another host name and not at this host. Nobody can tell from here
 * whether that is a cloned machine at work, or what this host left before it was renamed and moved. It is left alone.
 */
export type Ownership = 'own' | 'twin' | 'foreign';

/** Whose an entry is: the one place where that is decided, for every registry. */
export function ownership(owner: Owner, { id, address, mark, isWanted = false }: Held): Ownership {
  if (mark === undefined) {
    // gliderlabs/registrator marked nothing: its IDs show its host, and what it wrote under a SERVICE_ID is adopted.
    const shown = hostOfId(id);
    return (shown === undefined ? isWanted : shown === owner.host) ? 'own' : 'foreign';
  }
  if (mark.host === owner.host) return 'own';
  if (owner.engine === '' || mark.engine !== owner.engine) return 'foreign';
  // The same engine at this host's own address: the host was renamed. Cloned machines share the ID, not the address.
  return owner.addresses?.().has(address) ? 'own' : 'twin';
}

/** Who holds an entry that is not ours, as words for a sentence. */
export function holderOf({ id, mark }: Pick<Held, 'id' | 'mark'>): string {
  const host = mark === undefined ? hostOfId(id) : mark.host;
  if (host !== undefined) return `registrator on host "${host}"`;
  return mark === undefined ? 'somebody without a mark of registrator (an operator, an application)' : 'another host';
}

export function ownerMark(owner: Owner): Record<string, string> {
  return { [HOST_KEY]: owner.host, [ENGINE_KEY]: owner.engine };
}

/** The mark that `ownerMark` made, in metadata that was read back. */
export function markIn(meta: Readonly<Record<string, string>>): Mark | undefined {
  const mark = { host: meta[HOST_KEY], engine: meta[ENGINE_KEY] };
  return mark.host === undefined && mark.engine === undefined ? undefined : mark;
}

/** Metadata without the mark, and what else registrator keeps there for itself. */
export function withoutMark(meta: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !key.startsWith('registrator-')));
}

const ID = /^(.+):[a-zA-Z0-9][a-zA-Z0-9_.-]*:\d{1,5}(?::udp|:sctp)?$/s;

/** `<host>:<container name>:<exposed port>[:udp|:sctp]` of this host (container names as Docker allows them). */
export const isOwnId = (host: string, id: string): boolean => hostOfId(id) === host;

/** The host whose registrator gives out such an ID; undefined for an ID of another form. */
export const hostOfId = (id: string): string | undefined => ID.exec(id)?.[1];
