import type { Logger } from '../../../src/lib/log/index.ts';
import { createRegistry, type Entry, type Owner, type Registry } from '../../../src/registries/index.ts';
import type { Service } from '../../../src/services/index.ts';
import { agentHolds } from './consul-target.ts';
import { type RegistryState, SLOW, type Target } from './targets.ts';

/**
 * The embedded catalogue, read by its HTTP API. It has no network that could fail, so what goes wrong is put between it
 * and the reconciler.
 */
export class MemoryTarget implements Target {
  readonly outlives = false;
  readonly #agent: Agent = { address: '' };
  #registry: Unreliable | undefined;
  #state: RegistryState = 'well';

  async open(owner: Owner, log: Logger): Promise<Registry> {
    const listening = log.child({}, { msgPrefix: '' });
    const registry = await createRegistry('memory://127.0.0.1:0?dns=off', {
      owner,
      env: {},
      log: overhear(listening, (address) => {
        this.#agent.address = address;
      }),
    });
    this.#registry = new Unreliable(registry);
    this.#registry.become(this.#state);
    return this.#registry;
  }

  async become(state: RegistryState): Promise<void> {
    this.#state = state;
    this.#registry?.become(state);
  }

  async empty(): Promise<void> {
    await this.#registry?.loseAll();
  }

  async putForeign(): Promise<void> {}
  async removeForeign(): Promise<void> {}
  async foreign(): Promise<Map<number, string>> {
    return new Map();
  }

  own(): Promise<Map<string, string>> {
    return agentHolds(async (_, path) => {
      const response = await fetch(`http://${this.#agent.address}${path}`, { signal: AbortSignal.timeout(10_000) });
      return response.json() as never;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Agent {
  address: string;
}

/** A logger that tells of the address that the catalogue says it answers at. */
function overhear(log: Logger, tell: (address: string) => void): Logger {
  return new Proxy(log, {
    get(target, property, receiver) {
      if (property !== 'info') return Reflect.get(target, property, receiver);
      return (fields: { http?: string }, ...rest: string[]) => {
        if (typeof fields.http === 'string') tell(fields.http);
        target.info(fields, ...rest);
      };
    },
  });
}

/** Hands on each call, when and as far as its state lets it. */
class Unreliable implements Registry {
  readonly name: string;
  readonly batchSize: number;
  readonly #inner: Registry;
  #state: RegistryState = 'well';
  #changed = Promise.withResolvers<void>();
  #lost = Promise.withResolvers<string>();

  constructor(inner: Registry) {
    this.#inner = inner;
    this.name = inner.name;
    this.batchSize = inner.batchSize;
  }

  become(state: RegistryState): void {
    this.#state = state;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async loseAll(): Promise<void> {
    await this.#inner.deregister(await this.#inner.registered(AbortSignal.timeout(1_000)), AbortSignal.timeout(1_000));
    this.#lost.resolve('it was emptied');
    this.#lost = Promise.withResolvers();
  }

  entry = (service: Service) => this.#inner.entry(service);
  connect = (signal: AbortSignal) => this.#do(signal, () => this.#inner.connect(signal), true);
  register = (services: readonly Service[], signal: AbortSignal) =>
    this.#do(signal, () => this.#inner.register(services, signal));
  deregister = (entries: readonly Entry[], signal: AbortSignal) =>
    this.#do(signal, () => this.#inner.deregister(entries, signal));
  registered = (signal: AbortSignal) => this.#do(signal, () => this.#inner.registered(signal), true);
  refresh = (services: readonly Service[], signal: AbortSignal) =>
    this.#do(signal, async () => this.#inner.refresh?.(services, signal));
  lost = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#lost.promise.then(resolve);
    });
  close = () => this.#inner.close();

  async #do<T>(signal: AbortSignal, work: () => Promise<T>, isReading = false): Promise<T> {
    while (this.#state === 'stalled' && !signal.aborted) {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      await Promise.race([this.#changed.promise, aborted]);
    }
    signal.throwIfAborted();
    if (this.#state === 'down' || (this.#state === 'refusing' && !isReading)) throw new Error('it is not well');
    if (this.#state === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW));
    return work();
  }
}
