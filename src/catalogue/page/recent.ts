import { hostPort } from '../../lib/host-port.ts';
import type { HealthStatus } from '../../services/index.ts';
import type { Row } from './row.ts';

/** One container and what happened to it: its services change together. */
export interface RecentChange {
  /** `recreated`: another container took the place of one that was gone just before. */
  readonly kind: 'up' | 'gone' | 'recreated' | 'updated' | HealthStatus;
  readonly container: string;
  readonly services: readonly { readonly name: string; readonly address: string }[];
  readonly fields: readonly ChangedField[];
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds since its container started, where that was what made the change. */
  readonly after?: number;
}

/** What was, and what is. */
interface ChangedField {
  readonly field: string;
  readonly was: string;
  readonly is: string;
}

interface Noted {
  readonly change: RecentChange;
  /** As they were before, by service name and exposed port. */
  readonly before: ReadonlyMap<string, Row>;
}

const RECENT = 20;
/** Services that a line names. */
const NAMED = 32;
/** A container that runs for longer, in milliseconds, was found, not just started. */
const JUST_STARTED = 60_000;
/** Milliseconds in which changes of one container are one, and in which one that is back was recreated. */
const TOGETHER = 3_000;
const RECREATED = 15_000;

/** The latest changes, one line a container and change. */
export class RecentChanges {
  #noted: readonly Noted[] = [];

  /** The last one first. */
  get all(): readonly RecentChange[] {
    return this.#noted.map(({ change }) => change);
  }

  /** @param before, after absent where the row was not there, or is gone. @param at milliseconds since the epoch */
  note(before: Row | undefined, after: Row | undefined, at: number): void {
    const row = after ?? before;
    const kind = kindOf(before, after);
    if (row === undefined || kind === undefined) return;
    const earlier = this.#noted.find(({ change }) => change.container === row.container);
    const last = earlier !== undefined && isOne(earlier.change, kind, at) ? earlier : undefined;
    // Each note makes the line anew: a thousand services of one container would be a million.
    if (last !== undefined && last.change.kind === kind && last.change.services.length >= NAMED) return;
    const was = new Map(last?.before);
    if (before !== undefined) was.set(slotOf(before), before);
    const rest = last === undefined ? this.#noted : this.#noted.filter((noted) => noted !== last);
    const back = last?.change.kind === 'gone' && kind === 'up';
    const change = merged(last?.change, back ? 'recreated' : kind, row, back ? was.get(slotOf(row)) : before, at);
    this.#noted = [{ change, before: was }, ...rest].slice(0, RECENT);
  }
}

function kindOf(before: Row | undefined, after: Row | undefined): RecentChange['kind'] | undefined {
  if (after === undefined) return before === undefined ? undefined : 'gone';
  if (before === undefined) return after.fromSnapshot ? undefined : 'up';
  if (before.containerId !== after.containerId && before.containerId !== '') return 'recreated';
  if (before.health !== after.health && after.health !== 'none' && after.health !== 'elsewhere') return after.health;
  return changedFields(before, after).length > 0 ? 'updated' : undefined;
}

/** Whether the change goes on the line of an earlier one of the same container. */
function isOne({ kind, at: earlier }: RecentChange, now: RecentChange['kind'], at: number): boolean {
  if (kind === 'gone' && now === 'up') return at - earlier < RECREATED;
  if (kind === 'recreated' && now === 'up') return at - earlier < TOGETHER;
  return kind === now && at - earlier < TOGETHER;
}

function merged(
  earlier: RecentChange | undefined,
  kind: RecentChange['kind'],
  row: Row,
  before: Row | undefined,
  at: number,
): RecentChange {
  const service = { name: row.service, address: addressOf(row) };
  const goesOn = earlier !== undefined && (earlier.kind === kind || earlier.kind === 'recreated');
  const others = goesOn
    ? earlier.services.filter(({ name, address }) => name !== service.name || address !== service.address)
    : [];
  const fields = [
    ...(goesOn ? earlier.fields : []),
    ...(kind === 'up' || kind === 'gone' ? [] : fieldsOf(kind, before, row)),
  ];
  const after = at - row.since;
  const isStart = kind === 'up' || kind === 'recreated';
  return {
    kind: goesOn ? earlier.kind : kind,
    container: row.container,
    services: [...others, service],
    fields: fields.filter(
      ({ field, was, is }, i) =>
        fields.findIndex((other) => other.field === field && other.was === was && other.is === is) === i,
    ),
    at,
    ...(isStart && row.since > 0 && after >= 0 && after < JUST_STARTED ? { after: earlier?.after ?? after } : {}),
  };
}

function fieldsOf(kind: RecentChange['kind'], before: Row | undefined, after: Row): readonly ChangedField[] {
  if (before === undefined) return [];
  if (kind === 'recreated' || kind === 'updated') return changedFields(before, after);
  return [{ field: 'health', was: before.health, is: after.health }];
}

function changedFields(before: Row, after: Row): readonly ChangedField[] {
  const compared: readonly [field: string, of: (row: Row) => string][] = [
    ['image', ({ image }) => image],
    ['name', ({ service }) => service],
    ['address', addressOf],
    ['tags', ({ tags }) => tags.join(', ')],
    ['meta', ({ meta }) => JSON.stringify(meta)],
    ['check', ({ checks }) => checks.map(({ what }) => what).join(', ')],
  ];
  return compared.flatMap(([field, of]) => {
    const [was, is] = [of(before), of(after)];
    return was === is ? [] : [{ field, was, is }];
  });
}

/** What stays the same when a container is made anew. */
const slotOf = ({ service, exposedPort, protocol }: Row) => `${service} ${exposedPort}/${protocol}`;

const addressOf = ({ address, port }: Row) => hostPort(address, port);
