import type { ServerResponse } from 'node:http';

/** Docker keeps so many for `since`. */
const KEPT = 256;

export interface SimulatedEvent {
  readonly type: 'container' | 'network';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Nanoseconds since the epoch; no two events have the same. */
  readonly time: bigint;
}

type Chance = number | ((event: SimulatedEvent) => boolean);

/** What happens to events on their way to open streams: probabilities from 0 to 1, or predicates. A replay gives all. */
export interface EventFaults {
  readonly drop?: Chance;
  readonly double?: Chance;
  /** Held back until the next event has gone. */
  readonly reorder?: Chance;
  /** Milliseconds, the same for all or each event's own. */
  readonly delay?: number | ((event: SimulatedEvent) => number);
}

interface Stream {
  readonly response: ServerResponse;
  readonly wants: (event: SimulatedEvent) => boolean;
}

/** Docker's event log and its subscribers. */
export class EventBus {
  faults: EventFaults = {};
  readonly #random: () => number;
  readonly #streams = new Set<Stream>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #kept: SimulatedEvent[] = [];
  #heldBack: SimulatedEvent[] = [];
  /** What was to be sent while stalled; undefined: not stalled. */
  #stalled: SimulatedEvent[] | undefined;

  /** @param random from 0 to below 1, for the faults */
  constructor(random: () => number) {
    this.#random = random;
  }

  get streams(): number {
    return this.#streams.size;
  }

  emit(event: SimulatedEvent): void {
    this.#kept.push(event);
    if (this.#kept.length > 2 * KEPT) this.#kept = this.#kept.slice(-KEPT);
    const { drop, double, reorder, delay = 0 } = this.faults;
    if (this.#happens(drop, event)) return;
    if (this.#happens(reorder, event)) {
      this.#heldBack.push(event);
      return;
    }
    const due = [event, ...(this.#happens(double, event) ? [event] : []), ...this.#heldBack];
    this.#heldBack = [];
    const wait = typeof delay === 'number' ? delay : delay(event);
    if (wait === 0) this.#send(due);
    else this.#later(wait, due);
  }

  /** @param since nanoseconds since the epoch: kept events from then on come first */
  subscribe(response: ServerResponse, since: bigint | undefined, wants: (event: SimulatedEvent) => boolean): void {
    const stream = { response, wants };
    response.once('close', () => this.#streams.delete(stream));
    if (since !== undefined) {
      const replay = this.#kept.slice(-KEPT).filter((event) => event.time >= since && wants(event));
      if (replay.length > 0) response.write(replay.map(toLine).join(''));
    }
    this.#streams.add(stream);
  }

  /** As an engine that starts anew: `since` finds nothing. */
  forget(): void {
    this.#kept = [];
  }

  /** Sends nothing, until `resume`. */
  stall(): void {
    this.#stalled ??= [];
  }
  resume(): void {
    const waiting = this.#stalled ?? [];
    this.#stalled = undefined;
    this.#send(waiting);
  }

  /** Breaks every stream in the middle, or with `gracefully` ends each as an engine does that stops. */
  cut(gracefully = false): void {
    for (const { response } of this.#streams) {
      if (gracefully) response.end();
      else response.destroy();
    }
    this.#streams.clear();
  }

  /** Nothing held back or delayed comes any more. */
  close(): void {
    this.cut();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#heldBack = [];
  }

  #send(events: readonly SimulatedEvent[]): void {
    if (this.#stalled !== undefined) {
      this.#stalled.push(...events);
      return;
    }
    for (const { response, wants } of this.#streams) {
      for (const event of events) if (wants(event)) response.write(toLine(event));
    }
  }

  #later(milliseconds: number, events: readonly SimulatedEvent[]): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#send(events);
    }, milliseconds);
    this.#timers.add(timer);
  }

  #happens(chance: Chance | undefined, event: SimulatedEvent): boolean {
    if (chance === undefined || chance === 0) return false;
    return typeof chance === 'number' ? this.#random() < chance : chance(event);
  }
}

/** With the nanoseconds as Docker writes them: more digits than a JavaScript number has. */
function toLine({ type, action, id, attributes, time }: SimulatedEvent): string {
  const { image: from } = attributes;
  const before = JSON.stringify({
    ...(type === 'container' ? { status: action, id, from } : {}),
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: Number(time / 1_000_000_000n),
  });
  return `${before.slice(0, -1)},"timeNano":${time}}\n`;
}

/**
 * Docker's `filters` of events, `{"type":["container"]}` or its older form `{"type":{"container":true}}`; as much as is
 * needed of it: type, event, container. Throws an Error in Docker's words.
 */
export function eventFilter(json: string | null): (event: SimulatedEvent) => boolean {
  if (json === null || json === '') return () => true;
  const filters: Record<string, string[] | Record<string, boolean>> = JSON.parse(json);
  const wanted = new Map<string, Set<string>>();
  for (const [field, values] of Object.entries(filters)) {
    if (!['type', 'event', 'container'].includes(field)) throw new Error(`Invalid filter '${field}'`);
    wanted.set(field, new Set(Array.isArray(values) ? values : Object.keys(values)));
  }
  const types = wanted.get('type');
  const actions = wanted.get('event');
  const containers = wanted.get('container');
  return ({ type, action, id, attributes }) =>
    (types === undefined || types.has(type)) &&
    (actions === undefined || actions.has(action) || actions.has(action.split(':')[0] ?? '')) &&
    (containers === undefined ||
      (type === 'container' && (containers.has(id) || containers.has(attributes.name ?? ''))));
}

/** `since`, in seconds with up to nine decimals, as nanoseconds. Throws an Error in Docker's words. */
export function parseSince(text: string | null): bigint | undefined {
  if (text === null || text === '') return undefined;
  const [, seconds, decimals = ''] = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds === undefined) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return BigInt(seconds) * 1_000_000_000n + BigInt(decimals.padEnd(9, '0'));
}
