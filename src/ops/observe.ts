import type { Surroundings } from '../catalogue/index.ts';
import type { ContainerEvent } from '../docker/index.ts';
import type { HttpRoute } from '../lib/http/route.ts';
import type { Action } from '../reconciler/index.ts';
import type { Service } from '../services/index.ts';
import type { Metrics } from './metrics.ts';
import type { Observer, Overseen, Status } from './observer.ts';
import { opsRoutes } from './routes.ts';
import { surroundingsOf } from './surroundings.ts';

export interface Observation {
  readonly observer: Observer;
  /** Pages on metrics and health. */
  readonly routes: readonly HttpRoute[];
  /** What the embedded catalogue's page shows beside what it holds. */
  readonly surroundings: () => Surroundings;
}

/**
 * Metrics and health. prom-client takes a tenth of a second and 20 MB: it is loaded at once for `--http`, else when
 * somebody first asks the embedded catalogue for `/metrics`, and counts from then on.
 */
export async function observe(
  { http }: { readonly http?: unknown },
  registrator: () => Pick<Overseen, 'status' | 'differences'>,
): Promise<Observation> {
  const status = () => registrator().status;
  const observer = new LateMetrics(status);
  if (http !== undefined) await observer.load();
  const page = async () => {
    const metrics = await observer.load();
    return { status: 200, type: metrics.contentType, body: await metrics.text() };
  };
  return { observer, routes: opsRoutes(status, page), surroundings: () => surroundingsOf(registrator()) };
}

class LateMetrics implements Observer {
  readonly #status: () => Status;
  #loading: Promise<Metrics> | undefined;
  #metrics: Metrics | undefined;

  constructor(status: () => Status) {
    this.#status = status;
  }

  load(): Promise<Metrics> {
    this.#loading ??= import('./metrics.ts').then(({ Metrics }) => {
      this.#metrics = new Metrics(this.#status);
      return this.#metrics;
    });
    return this.#loading;
  }

  containerEvent(event: ContainerEvent): void {
    this.#metrics?.containerEvent(event);
  }

  done(registry: string, action: Action, service: Service | undefined): void {
    this.#metrics?.done(registry, action, service);
  }

  failed(registry: string, action: Action, error: Error): void {
    this.#metrics?.failed(registry, action, error);
  }
}
