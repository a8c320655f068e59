import type { Shared } from './layout.ts';
import type { Before, Change, Held, Sharers } from './update.ts';

/** Our own instances as the zone has them, as far as we know, and which of them share an address. */
export class OwnInstances {
  readonly #held = new Map<string, Held>();
  /** By the name of the claims: the instances that have one there. */
  readonly #claimants = new Map<string, Set<string>>();

  before(key: string): Before {
    const held = this.#held.get(key);
    return held === undefined ? { kind: 'nothing' } : { kind: 'held', held };
  }

  /** Who has this address, as far as it is our own instances that have it. */
  sharers({ claim }: Shared, leaving: ReadonlySet<string>): Sharers {
    const claimants = this.#claimants.get(claim.name) ?? new Set<string>();
    for (const key of claimants) {
      const witness = leaving.has(key) ? undefined : this.#held.get(key);
      if (witness !== undefined) return { witness };
    }
    return { claims: [...leaving] };
  }

  /** What the zone has was read. */
  replace(instances: readonly Held[]): void {
    this.#held.clear();
    this.#claimants.clear();
    for (const held of instances) this.#set(held);
  }

  /** These changes were carried out. */
  note(changes: readonly Change[]): void {
    for (const { key, before, after } of changes) {
      this.#delete(key);
      if (after === undefined) continue;
      const beside = before.kind === 'held' ? before.held.texts.filter((text) => !isMark(text, before.held)) : [];
      this.#set({ records: after, texts: [after.mark, ...beside] });
    }
  }

  #set(held: Held): void {
    const { key, shared } = held.records;
    this.#held.set(key, held);
    for (const { claim } of shared) {
      const claimants = this.#claimants.get(claim.name);
      if (claimants === undefined) this.#claimants.set(claim.name, new Set([key]));
      else claimants.add(key);
    }
  }

  #delete(key: string): void {
    const held = this.#held.get(key);
    this.#held.delete(key);
    for (const { claim } of held?.records.shared ?? []) {
      const claimants = this.#claimants.get(claim.name);
      claimants?.delete(key);
      if (claimants?.size === 0) this.#claimants.delete(claim.name);
    }
  }
}

function isMark(text: Held['texts'][number], { records }: Held): boolean {
  return text.type === 'TXT' && Buffer.concat(text.data).equals(Buffer.concat(records.mark.data));
}
