import type { ContainerEvent, ContainerSnapshot } from '../docker/index.ts';
import { signalNumber } from './stop-signal.ts';

const SIGTERM = 15;
/** Seconds that Docker lets a container have to stop where nothing says otherwise. */
const STOP_TIMEOUT = 10;
/** Seconds that a container may outlive its time before it counts as one that was not stopped after all. */
const GRACE = 5;

interface Stop {
  readonly signal: number;
  readonly timeoutMs: number;
  /** Of the engine's clock, as the inspection has it. */
  readonly startedAt: string;
}

interface Drain {
  readonly timer: NodeJS.Timeout;
  readonly startedAt: string;
}

/**
 * Which containers are about to end. Docker tells of `docker stop`, a Swarm update and its own end by a `kill` event with
 * the container's stop signal, while the container still serves what it was asked before.
 */
export class Drains {
  /** How each running container is stopped, by ID. */
  readonly #stops = new Map<string, Stop>();
  readonly #drains = new Map<string, Drain>();
  /** The time of the last kill event of a container: after a reconnect Docker may tell of it once more. */
  readonly #lastKills = new Map<string, string>();
  readonly #onOver: (id: string, seconds: number) => void;

  /** @param onOver a container still runs so many seconds after it was told to stop: it counts as running again */
  constructor(onOver: (id: string, seconds: number) => void) {
    this.#onOver = onOver;
  }

  /** What an inspection says of the container's stop; one that does not run any more, or runs anew, drains no longer. */
  note({ Id, Config, State }: ContainerSnapshot): void {
    const startedAt = State?.StartedAt ?? '';
    if (this.#drains.has(Id) && (!State?.Running || this.#drains.get(Id)?.startedAt !== startedAt)) this.#end(Id);
    if (!State?.Running) {
      this.#stops.delete(Id);
      return;
    }
    const { StopSignal, StopTimeout } = Config ?? {};
    const signal = (typeof StopSignal === 'string' && signalNumber(StopSignal)) || SIGTERM;
    const seconds = typeof StopTimeout === 'number' && StopTimeout >= 0 ? StopTimeout : STOP_TIMEOUT;
    this.#stops.set(Id, { signal, timeoutMs: (seconds + GRACE) * 1000, startedAt });
  }

  /** @returns whether the event says that the container begins to stop: it drains from now on */
  begins({ containerId, action, signal, time }: ContainerEvent): boolean {
    const stop = this.#stops.get(containerId);
    if (action !== 'kill' || stop === undefined || signal === undefined || signalNumber(signal) !== stop.signal)
      return false;
    // Fixed-width seconds since the epoch: their order as text is their order in time.
    if (time <= (this.#lastKills.get(containerId) ?? '') || Number(time) * 1000 < Date.parse(stop.startedAt))
      return false;
    this.#lastKills.set(containerId, time);
    clearTimeout(this.#drains.get(containerId)?.timer);
    const timer = setTimeout(
      () => {
        this.#drains.delete(containerId);
        this.#onOver(containerId, stop.timeoutMs / 1000);
      },
      Math.min(stop.timeoutMs, LONGEST_TIMER),
    );
    this.#drains.set(containerId, { timer, startedAt: stop.startedAt });
    return true;
  }

  has(id: string): boolean {
    return this.#drains.has(id);
  }

  /** The container is gone. */
  forget(id: string): void {
    this.#end(id);
    this.#stops.delete(id);
    this.#lastKills.delete(id);
  }

  close(): void {
    for (const id of [...this.#drains.keys()]) this.#end(id);
  }

  #end(id: string): void {
    clearTimeout(this.#drains.get(id)?.timer);
    this.#drains.delete(id);
  }
}

/** Milliseconds: beyond it a timer of Node's fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;
