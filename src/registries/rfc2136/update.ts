import { allOf, type InstanceRecords, type Shared } from './layout.ts';
import { add, holds, isUnused, type Line, lacks, remove, textOf, type ZoneRecord } from './message.ts';

/** What an update says, and on which conditions, so that nothing of anybody else's is replaced or removed. Pure. */

/** An instance as the zone has it. */
export interface Held {
  readonly records: InstanceRecords;
  /** All TXT records at its name: the mark, and what an operator has put beside it. */
  readonly texts: readonly ZoneRecord[];
}

/** What is at an instance's name before the change. */
export type Before =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'held'; readonly held: Held }
  /** Our very address without a mark, which somebody has removed. */
  | { readonly kind: 'unmarked' };

export interface Change {
  readonly key: string;
  readonly before: Before;
  /** Undefined: the instance goes. */
  readonly after: InstanceRecords | undefined;
}

/** Who has a shared address: an instance that keeps it; where there is none, all whose claims are there yet. */
export type Sharers = { readonly witness: Held } | { readonly claims: readonly string[] };

/** @param sharersOf who has this address, apart from those that leave */
export function updateOf(
  changes: readonly Change[],
  ttl: number,
  sharersOf: (shared: Shared, leaving: ReadonlySet<string>) => Sharers,
): { readonly conditions: readonly Line[]; readonly changes: readonly Line[] } {
  // Most conditions on the names of services are the same for many instances.
  const conditions = new Map<string, Line>();
  const require = (lines: readonly Line[]) => {
    for (const line of lines) conditions.set(line.toString('latin1'), line);
  };
  const removed: Line[] = [];
  const added: Line[] = [];
  const given = new Map<string, { readonly shared: Shared; readonly leaving: Set<string> }>();
  const changed = new Set(changes.map(({ key }) => key));

  for (const { key, before, after } of changes) {
    require(standing(key, before, after));
    const kept = new Set(after === undefined ? [] : allOf(after).map(textOf));
    if (before.kind === 'held') {
      const { own, mark, shared } = before.held.records;
      removed.push(...[...own, mark].filter((record) => !kept.has(textOf(record))).map(remove));
      for (const each of shared) {
        if (kept.has(textOf(each.claim))) continue;
        const { leaving } = getOrAdd(given, textOf(each.address), { shared: each, leaving: new Set<string>() });
        leaving.add(key);
      }
    }
    if (after === undefined) continue;
    require(free(after));
    added.push(...allOf(after).map((record) => add(record, ttl)));
  }

  for (const { shared, leaving } of given.values()) {
    const sharers = sharersOf(shared, leaving);
    const claimOf = (data: string) => ({ ...shared.claim, data });
    removed.push(...[...leaving].map((key) => remove(claimOf(key))));
    if ('witness' in sharers) {
      const { records, texts } = sharers.witness;
      // One that this update changes is held by a condition of its own.
      if (!changed.has(records.key)) require(texts.map(holds));
      continue;
    }
    const claims = sharers.claims.map(claimOf);
    require(claims.length === 0 ? [lacks(shared.claim.name, 'PTR')] : claims.map(holds));
    removed.push(...claims.map(remove), remove(shared.address));
  }
  return { conditions: [...conditions.values()], changes: [...removed, ...added] };
}

/** The instance is as we know it. */
function standing(key: string, before: Before, after: InstanceRecords | undefined): Line[] {
  switch (before.kind) {
    case 'nothing':
      return [isUnused(key)];
    case 'held':
      return before.held.texts.map(holds);
    case 'unmarked':
      return [lacks(key, 'TXT'), ...(after?.own ?? []).filter(({ name }) => name === key).map(holds)];
  }
}

/** No name of the service is somebody's alias: what is added there would be left out without a word (RFC 2136, 3.4.2.2). */
function free({ key, own, shared }: InstanceRecords): Line[] {
  const names = [...own, ...shared.map(({ address }) => address)]
    .map(({ name }) => name)
    .filter((name) => name !== key);
  // Nor has a tag the name of an instance, which would get the addresses of others.
  const tags = shared
    .slice(1)
    .map(({ address }) => address.name)
    .filter((name) => name !== key);
  return [...names.map((name) => lacks(name, 'CNAME')), ...tags.map((name) => lacks(name, 'TXT'))];
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, value: V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  map.set(key, value);
  return value;
}
