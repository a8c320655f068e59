import { setTimeout as sleep } from 'node:timers/promises';
import { asError } from '../../lib/as-error.ts';
import { inTime } from '../../lib/in-time.ts';
import { type Logger, problemsOf } from '../../lib/log/index.ts';

import type { Check, Health, HealthStatus, Service } from '../../services/index.ts';
import { checkContent } from '../content.ts';
import type { Store } from '../store.ts';
import { milliseconds } from './duration.ts';
import { checkGrpc } from './grpc.ts';
import { checkHttp } from './http.ts';
import { Slots } from './slots.ts';
import { serviceOfCheck } from './state.ts';
import { checkTcp } from './tcp.ts';

/** Milliseconds, as Consul has them by default. */
const INTERVAL = 10_000;
const TIMEOUT = 10_000;
const SHORTEST_INTERVAL = 1_000;
/** However long a check may take by its label, it shall not keep the others waiting for longer. */
const LONGEST_TIMEOUT = 60_000;
/** Checks under way at once: of those that were answered the last time, and of those that were not, and take their time. */
const CONCURRENCY = 128;
/** Of one container. */
const OF_ONE = 16;

/** A check that asks the service itself, time and again. */
type Polled = Exclude<Check, { type: 'ttl' | 'docker' | 'script' }>;

interface Running {
  readonly content: string;
  readonly stop: AbortController;
  /** Of a TTL check: starts its time anew. */
  readonly reported?: () => void;
}

/** Runs the health checks of the store's services, and writes their results back. */
export class CheckRunner {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #anyAddress: boolean;
  readonly #slots = { answered: new Slots(CONCURRENCY, OF_ONE), silent: new Slots(CONCURRENCY, OF_ONE) };
  readonly #running = new Map<string, Running>();
  readonly #stopped = new AbortController();

  /** @param anyAddress whether checks may go where a label says, and not to their own container or this host alone */
  constructor(store: Store, log: Logger, anyAddress = false) {
    this.#anyAddress = anyAddress;
    this.#store = store;
    this.#log = log;
  }

  start(): void {
    this.#store.listen(({ kind, instance: { service } }) => {
      if (kind === 'deregistered') this.#stop(service.id);
      else if (kind !== 'health' && kind !== 'output') this.#follow(service);
    }, this.#stopped.signal);
    for (const { service } of this.#store.all()) this.#follow(service);
  }

  /** Ends every timer and connection. */
  close(): void {
    this.#stopped.abort();
    for (const id of [...this.#running.keys()]) this.#stop(id);
  }

  /** An application's word on its own TTL check. @returns false where there is no such check */
  report(checkId: string, status: HealthStatus, output: string): boolean {
    const id = serviceOfCheck(checkId);
    const running = id === undefined ? undefined : this.#running.get(id);
    if (id === undefined || running?.reported === undefined) return false;
    running.reported();
    this.#store.setCheck(id, status, output);
    return true;
  }

  #stop(id: string): void {
    this.#running.get(id)?.stop.abort();
    this.#running.delete(id);
  }

  #follow(service: Service): void {
    const content = checkContent(service);
    if (this.#running.get(service.id)?.content === content) return;
    this.#stop(service.id);
    const { check } = service;
    // Docker's health comes with the service itself.
    if (check === undefined || content === undefined || check.type === 'docker') return;
    if (check.type === 'script') {
      this.#tellOfScript(service);
      return;
    }
    if (check.type !== 'ttl' && service.elsewhere && !this.#anyAddress) {
      this.#refuse(service);
      return;
    }
    const stop = new AbortController();
    if (check.type === 'ttl') {
      this.#running.set(service.id, { content, stop, reported: this.#expire(service.id, check.ttl, stop.signal) });
      return;
    }
    this.#running.set(service.id, { content, stop });
    void this.#poll(service, check, stop.signal);
  }

  /** @returns what starts the time anew */
  #expire(id: string, ttl: string, signal: AbortSignal): () => void {
    let timer: NodeJS.Timeout | undefined;
    const restart = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#store.setCheck(id, 'critical', 'TTL expired'), milliseconds(ttl, INTERVAL));
    };
    restart();
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    return restart;
  }

  async #poll({ id, origin }: Service, check: Polled, signal: AbortSignal) {
    const interval = Math.max(milliseconds(check.interval, INTERVAL), SHORTEST_INTERVAL);
    const timeoutMs = Math.min(milliseconds(check.timeout, TIMEOUT), LONGEST_TIMEOUT);
    let slots = this.#slots.answered;
    while (!signal.aborted) {
      await slots.run(origin.containerId, signal, async () => {
        const { status, output, late } = await probe(check, timeoutMs, signal);
        slots = late ? this.#slots.silent : this.#slots.answered;
        if (!signal.aborted) this.#store.setCheck(id, status, output);
      });
      // Up to a tenth more or less, so that checks of one start spread.
      await sleep(interval * (0.9 + Math.random() * 0.2), undefined, { signal }).catch(() => undefined);
    }
  }

  /** A check goes where it is told, and what it finds is shown: a label aims it at nothing but its own container. */
  #refuse(service: Service): void {
    const output = `no check is made of ${service.address}, which is neither the container's address nor this host's; --check-any-address allows it`;
    this.#store.setCheck(service.id, 'critical', output);
    this.#tell(service, output);
  }

  #tellOfScript(service: Service): void {
    this.#tell(
      service,
      'the embedded catalogue runs no script checks, so this service counts as passing; use SERVICE_CHECK_HTTP, _TCP or _GRPC, or a HEALTHCHECK in the image',
    );
  }

  #tell({ id, name, origin }: Service, message: string): void {
    const fields = { service: name, id, container: origin.containerName };
    problemsOf(this.#log).tell({
      about: origin.containerId,
      cause: `${id} ${message}`,
      level: 'warn',
      fields,
      message,
    });
  }
}

/** What a check found; late where there was no answer in time. */
type Found = Health & { readonly late?: boolean };

function probe(check: Polled, timeoutMs: number, signal: AbortSignal): Promise<Found> {
  return inTime(timeoutMs, signal, async (limit) => {
    try {
      return await look(check, limit);
    } catch (error) {
      const late = limit.aborted;
      return { status: 'critical', output: late ? `no answer within ${timeoutMs} ms` : messageOf(error), late };
    }
  });
}

function look(check: Polled, signal: AbortSignal): Promise<Health> {
  if (check.type === 'http') return checkHttp(check, signal);
  if (check.type === 'tcp') return checkTcp(check.target, signal);
  return checkGrpc(check, signal);
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0]);
  return asError(error).message;
}
