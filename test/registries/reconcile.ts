import { pino } from 'pino';
import { DesiredState, Reconciler } from '../../src/reconciler/index.ts';
import type { Registry } from '../../src/registries/index.ts';
import type { Service } from '../../src/services/index.ts';

/** A reconciler at work on these services, which reads the registry again only when it is told to. */
export function reconcile(
  registry: Registry,
  services: readonly Service[],
  heartbeatMs = 0,
): AsyncDisposable & { readonly reconciler: Reconciler } {
  const desired = new DesiredState();
  desired.set('container', services);
  desired.setComplete();
  const options = { resyncMs: 0, heartbeatMs, retryAttempts: Number.POSITIVE_INFINITY, retryIntervalMs: 50 };
  const reconciler = new Reconciler(registry, desired, options, pino({ level: 'silent' }));
  const ended = new AbortController();
  const run = reconciler.run(ended.signal);
  return {
    reconciler,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await run;
    },
  };
}
