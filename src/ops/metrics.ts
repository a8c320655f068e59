import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ContainerEvent } from '../docker/index.ts';
import type { Action, RegistryStatus } from '../reconciler/index.ts';
import { RefusedError } from '../registries/index.ts';
import type { Service } from '../services/index.ts';
import type { Observer, Status } from './observer.ts';

/** Seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Containers whose start is remembered at once; beyond it the oldest is no longer measured. */
const MEMORY = 10_000;

/** A container's start, as it was heard of, and who holds its services since: each is measured once. */
interface Start {
  /** Of `performance.now()`. */
  readonly at: number;
  readonly measured: Set<string>;
}

/**
 * Counts what the core does, and says so in Prometheus' text format. Labels are the URIs' names, actions and reasons:
 * never a container's or service's, of which there is no end.
 */
export class Metrics implements Observer {
  readonly #registry = new Registry();
  readonly #starts = new Map<string, Start>();
  readonly #registrations: Counter<'registry'>;
  readonly #deregistrations: Counter<'registry'>;
  readonly #failures: Counter<'registry' | 'action' | 'reason'>;
  readonly #seconds: Histogram<'registry'>;

  constructor(status: () => Status) {
    const registers = [this.#registry];
    /** A counter that is there from the start shows its first step. */
    function fromZero(this: Counter<'registry'>): void {
      for (const { name } of status().registries) this.inc({ registry: name }, 0);
    }
    const labelNames = ['registry'] as const;
    collectDefaultMetrics({ register: this.#registry });
    this.#registrations = new Counter({
      name: 'registrator_registrations_total',
      help: 'Services written to a registry.',
      labelNames,
      registers,
      collect: fromZero,
    });
    this.#deregistrations = new Counter({
      name: 'registrator_deregistrations_total',
      help: 'Services removed from a registry.',
      labelNames,
      registers,
      collect: fromZero,
    });
    this.#failures = new Counter({
      name: 'registrator_failures_total',
      help: 'Writes that failed; refused: the registry said no to this service, unanswered: it may be away.',
      labelNames: ['registry', 'action', 'reason'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'registrator_event_to_registered_seconds',
      help: 'From hearing that a container started to its service being in the registry.',
      labelNames,
      buckets: BUCKETS,
      registers,
    });
    const gauge = (name: string, help: string, value: (registry: RegistryStatus) => number | undefined) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          for (const registry of status().registries) {
            const now = value(registry);
            if (now !== undefined) this.set({ registry: registry.name }, now);
          }
        },
      });
    gauge('registrator_services', 'Services that the registry should hold.', ({ services }) => services);
    gauge('registrator_queue_depth', 'Entries that wait to be written, or are being written.', ({ queue }) => queue);
    gauge('registrator_failing', 'Entries that could not be written and are tried again.', ({ failing }) => failing);
    gauge(
      'registrator_conflicts',
      'Services that wait because somebody else holds their entry.',
      ({ conflicts }) => conflicts.length,
    );
    gauge('registrator_registry_up', '1 while the registry answers.', ({ up }) => Number(up));
    gauge(
      'registrator_last_resync_timestamp_seconds',
      'When the registry was last read and compared as a whole.',
      ({ resyncedAt }) => resyncedAt && resyncedAt / 1000,
    );
    new Gauge({
      name: 'registrator_docker_up',
      help: "1 while Docker's event stream is open.",
      registers,
      collect() {
        this.set(Number(status().docker?.connected ?? false));
      },
    });
    new Counter({
      name: 'registrator_docker_stream_reconnects_total',
      help: "Times that Docker's event stream was opened again.",
      registers,
      collect() {
        this.reset();
        this.inc(Math.max(0, (status().docker?.streams ?? 0) - 1));
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  containerEvent({ containerId, action }: ContainerEvent): void {
    if (action === 'die' || action === 'destroy') this.#starts.delete(containerId);
    if (action !== 'start') return;
    this.#starts.delete(containerId);
    this.#starts.set(containerId, { at: performance.now(), measured: new Set() });
    const [oldest] = this.#starts.keys();
    if (this.#starts.size > MEMORY && oldest !== undefined) this.#starts.delete(oldest);
  }

  done(registry: string, action: Action, service: Service | undefined): void {
    if (action === 'deregister') this.#deregistrations.inc({ registry });
    if (action !== 'register') return;
    this.#registrations.inc({ registry });
    const start = this.#starts.get(service?.origin.containerId ?? '');
    const key = `${registry} ${service?.id}`;
    if (start === undefined || start.measured.has(key)) return;
    start.measured.add(key);
    this.#seconds.observe({ registry }, (performance.now() - start.at) / 1000);
  }

  failed(registry: string, action: Action, error: Error): void {
    this.#failures.inc({ registry, action, reason: error instanceof RefusedError ? 'refused' : 'unanswered' });
  }
}
