import type { Entry, Others, Owner } from '../registry.ts';
import { type Held, holderOf, ownership } from './owner.ts';

/** Sorts what a reading of a registry found: this host's own entries, and who holds the others. */
export class Findings implements Others {
  readonly own: Entry[] = [];
  readonly holders = new Map<string, string>();
  readonly twins = new Map<string, number>();
  readonly #owner: Owner;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** @param held what the entry tells of whose it is. @returns whether it is ours */
  add(entry: Entry, held: Pick<Held, 'mark' | 'isWanted'>): boolean {
    const whose = ownership(this.#owner, { ...entry, ...held });
    if (whose === 'own') {
      this.own.push(entry);
      return true;
    }
    this.holders.set(entry.key, holderOf({ ...entry, ...held }));
    if (whose === 'twin') {
      const host = held.mark?.host ?? '';
      this.twins.set(host, (this.twins.get(host) ?? 0) + 1);
    }
    return false;
  }
}
