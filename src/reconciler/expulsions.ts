import { parseDuration, type Service } from '../services/index.ts';

const HOUR = 3_600_000;

interface Expulsion {
  /** The container's run: started anew, it is a new service. */
  readonly run: string;
  readonly rounds: number;
  /** Milliseconds. */
  readonly notBefore: number;
}

/**
 * Services that a registry removed by itself, critical for longer than their SERVICE_CHECK_DEREGISTER_AFTER. One that came
 * back at once would go again, for ever: it comes back after that time, doubled each round, an hour at most; and not as
 * passing. Times are milliseconds of a clock that does not jump.
 */
export class Expulsions {
  readonly #byKey = new Map<string, Expulsion>();

  /** The registry removed it. @returns milliseconds after which it may come back */
  note(key: string, service: Service, now: number): number {
    const before = this.#byKey.get(key);
    const run = runOf(service);
    // After an hour without another one it was well in between.
    const rounds = before?.run === run && now - before.notBefore < HOUR ? before.rounds + 1 : 1;
    const wait = Math.min(HOUR, allowed(service) * 2 ** (rounds - 1));
    this.#byKey.set(key, { run, rounds, notBefore: now + wait });
    return wait;
  }

  /** Whether it has to stay away still. A container that Docker calls healthy has not. */
  holds(key: string, service: Service, now: number): boolean {
    const expulsion = this.#of(key, service);
    return expulsion !== undefined && now < expulsion.notBefore && service.health?.status !== 'passing';
  }

  /** The service as it may come back: nobody asks for one that was critical before its check has passed. */
  returning(key: string, service: Service): Service {
    const { check } = service;
    if (check === undefined || check.type === 'docker' || this.#of(key, service) === undefined) return service;
    return { ...service, check: { ...check, initialStatus: 'critical' } };
  }

  #of(key: string, service: Service): Expulsion | undefined {
    const expulsion = this.#byKey.get(key);
    if (expulsion === undefined || expulsion.run === runOf(service)) return expulsion;
    this.#byKey.delete(key);
    return undefined;
  }
}

const runOf = ({ origin }: Service) => `${origin.containerId} ${origin.startedAt}`;

/** Milliseconds. */
const allowed = ({ check }: Service) => Number((parseDuration(check?.deregisterAfter ?? '') ?? 0n) / 1_000_000n);
