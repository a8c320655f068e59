import type { Entry } from '../registries/index.ts';
import type { Service } from '../services/index.ts';

export interface WantedEntry {
  readonly service: Service;
  readonly entry: Entry;
}

const NONE: readonly WantedEntry[] = [];

/** What one registry shall hold, by entry key. Several containers may claim a key; one of them has it. */
export class ClaimTable {
  readonly #claims = new Map<string, readonly WantedEntry[]>();

  get(key: string): WantedEntry | undefined {
    return this.#claims.get(key)?.[0];
  }

  get keys(): Iterable<string> {
    return this.#claims.keys();
  }

  get size(): number {
    return this.#claims.size;
  }

  *values(): Iterable<WantedEntry> {
    for (const [first] of this.#claims.values()) if (first !== undefined) yield first;
  }

  /** Those that want a key that another one has, with that one. */
  *losers(): Iterable<{ readonly loser: WantedEntry; readonly holder: WantedEntry }> {
    for (const [holder, ...losers] of this.#claims.values()) {
      if (holder !== undefined) for (const loser of losers) yield { loser, holder };
    }
  }

  /** @returns the claims on the key, the one that has it first */
  add(wanted: WantedEntry): readonly WantedEntry[] {
    const key = wanted.entry.key;
    const claims = [...this.#others(key, wanted.service), wanted].sort(byRight);
    this.#claims.set(key, claims);
    return claims;
  }

  remove(key: string, service: Service): void {
    const rest = this.#others(key, service);
    if (rest.length === 0) this.#claims.delete(key);
    else this.#claims.set(key, rest);
  }

  #others(key: string, { id, origin }: Service): readonly WantedEntry[] {
    const same = ({ service }: WantedEntry) => service.id === id && service.origin.containerId === origin.containerId;
    return this.#claims.get(key)?.filter((claim) => !same(claim)) ?? NONE;
  }
}

/**
 * The container whose own name is in the ID has the key: no label of another takes it. Else the one that started last:
 * that is the one that a person has just asked for.
 */
function byRight({ service: a }: WantedEntry, { service: b }: WantedEntry): number {
  const rank = (service: Service) => Number(isOwnId(service));
  return (
    rank(b) - rank(a) ||
    b.origin.startedAt - a.origin.startedAt ||
    (a.origin.containerId < b.origin.containerId ? -1 : 1)
  );
}

/** `<host>:<container>:<port>`, as it is where no label gives another. */
export const isOwnId = ({ id, origin }: Service) => id.split(':', 2)[1] === origin.containerName;
