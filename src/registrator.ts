import { hostname as systemName } from 'node:os';
import type { Surroundings } from './catalogue/index.ts';
import {
  ContainerController,
  deriveOptions,
  type HostAddresses,
  type HostFacts,
  hostFacts,
  ownAddress,
  ownAddresses,
} from './discovery/index.ts';
import { DockerHost, dockerConnection, type EngineInfo, untilAnswered } from './docker/index.ts';
import { compact } from './lib/compact.ts';
import type { Environment } from './lib/environment.ts';
import type { HttpRoute } from './lib/http/route.ts';
import type { Logger } from './lib/log/index.ts';
import type { Observer, Status } from './ops/index.ts';

import { DEFAULTS, type Options } from './options.ts';
import { DesiredState, type Difference, Reconciler } from './reconciler/index.ts';
import { createRegistry, type Registry } from './registries/index.ts';
import { type DeriveOptions, unknownHostAddress } from './services/index.ts';

/** Milliseconds that a stop may take, and how much of them registries have to finish what is under way. */
const STOP_LIMIT = 9_000;
const SETTLE_LIMIT = 4_000;
/** Seconds between two reports of Docker's health to a TTL check, at the most. */
const HEALTH_REFRESH = 20;

/** What others see of a registrator at work. */
export interface Hooks {
  readonly observer?: Observer;
  /** Pages that the embedded catalogue serves beside its own. */
  readonly routes?: readonly HttpRoute[];
  /** What the embedded catalogue's page shows beside what it holds. */
  readonly surroundings?: () => Surroundings;
}

/** Puts the parts together: Docker's containers, the services they mean, and a reconciler for each registry. */
export class Registrator {
  readonly #options: Options;
  readonly #env: Environment;
  readonly #log: Logger;
  readonly #docker: DockerHost;
  readonly #desired = new DesiredState();
  readonly #watching = new AbortController();
  readonly #reconciling = new AbortController();
  readonly #observer: Observer | undefined;
  readonly #routes: readonly HttpRoute[];
  readonly #surroundings: (() => Surroundings) | undefined;
  #hostname: string | undefined;
  #controller: ContainerController | undefined;
  #reconcilers: readonly Reconciler[] = [];
  #tasks: readonly Promise<unknown>[] = [];

  /** Throws an Error with one sentence when the environment's Docker settings are wrong. Opens nothing yet. */
  constructor(
    options: Partial<Options>,
    env: Environment,
    log: Logger,
    { observer, routes = [], surroundings }: Hooks = {},
  ) {
    this.#options = { ...DEFAULTS, ...options };
    this.#observer = observer;
    this.#routes = routes;
    this.#surroundings = surroundings;
    this.#env = env;
    this.#log = log;
    this.#docker = new DockerHost(dockerConnection(env));
  }

  /** What is to be registered, by container. */
  get desired(): DesiredState {
    return this.#desired;
  }

  /** This host's name, as it stands in IDs; the system's until Docker has told its own. */
  get hostname(): string {
    return this.#hostname ?? this.#options.hostname ?? systemName();
  }

  /** What each registry does not hold as it should, in the order of `status.registries`. */
  get differences(): readonly (readonly Difference[])[] {
    return this.#reconcilers.map((reconciler) => reconciler.differences());
  }

  get status(): Status {
    return compact({
      docker: this.#controller?.status,
      registries: this.#reconcilers.map((reconciler) => reconciler.status),
    });
  }

  /** @throws Error with one sentence when a registry's URI or settings are wrong: told of even when Docker is away */
  async checkRegistries(): Promise<void> {
    const registries = await this.#registries({ hostname: systemName(), id: '', version: '' });
    await Promise.all(registries.map((registry) => registry.close()));
  }

  /**
   * Works until `stop`.
   * @throws the error of a part that cannot go on: a registry that did not answer in `--retry-attempts`, a port in use
   */
  async run(): Promise<void> {
    const { engine, facts } = await this.#meetDocker();
    const { hostname } = facts;
    this.#hostname = hostname;
    const derive = deriveOptions(this.#options, facts);
    this.#tellWithoutAddress(derive);
    const registries = await this.#registries({ ...engine, hostname }, derive, facts);
    const controller = new ContainerController(
      this.#docker,
      this.#desired,
      { derive, deregister: this.#options.deregister, resyncMs: this.#options.resync * 1000 },
      this.#log,
      this.#observer,
    );
    this.#controller = controller;
    this.#reconcilers = registries.map((registry) => this.#reconciler(registry));
    this.#tasks = [
      ...this.#reconcilers.map((reconciler) => reconciler.run(this.#reconciling.signal)),
      controller.run(this.#watching.signal),
      ...(derive.ip === undefined || derive.internal ? [this.#followHost(derive, facts)] : []),
    ];
    await Promise.all(this.#tasks);
  }

  /** Ends everything within 10 seconds. Services stay registered unless `--deregister-on-exit`. */
  async stop(): Promise<void> {
    this.#watching.abort(new Error('stopping'));
    await within(SETTLE_LIMIT, Promise.all(this.#reconcilers.map((reconciler) => reconciler.settled())));
    this.#reconciling.abort(new Error('stopping'));
    const limit = AbortSignal.timeout(STOP_LIMIT - SETTLE_LIMIT);
    await within(STOP_LIMIT - SETTLE_LIMIT, Promise.allSettled(this.#tasks));
    if (this.#options.deregisterOnExit) await this.#deregisterAll(limit);
    await within(1_000, Promise.allSettled(this.#reconcilers.map(({ registry }) => registry.close())));
    this.#docker.close();
  }

  async #deregisterAll(signal: AbortSignal): Promise<void> {
    const ends = await Promise.allSettled(this.#reconcilers.map((reconciler) => reconciler.deregisterAll(signal)));
    for (const [index, end] of ends.entries()) {
      if (end.status === 'fulfilled') continue;
      const registry = this.#reconcilers[index]?.registry.name;
      this.#log.error(
        { registry, err: (end.reason as Error).message },
        'could not deregister every service; those left stay until the next start',
      );
    }
  }

  /** Docker's name and ID are the owner mark: without them nothing can be written. Waits for Docker, for ever. */
  async #meetDocker(): Promise<{ engine: EngineInfo; facts: HostFacts }> {
    const signal = this.#watching.signal;
    let told = false;
    return untilAnswered(
      async () => {
        const engine = await this.#docker.info(signal);
        return { engine, facts: await hostFacts(this.#options, engine, this.#docker, signal) };
      },
      signal,
      ({ error }) => {
        if (!told) {
          this.#log.warn(
            { docker: this.#docker.name, err: error.message },
            'Docker does not answer; trying again until it does. Is the engine up, and may registrator read its socket?',
          );
        }
        told = true;
      },
    );
  }

  #tellWithoutAddress(derive: DeriveOptions): void {
    const { hostname, ipFamily, internal } = derive;
    if (internal || ownAddress(derive) !== undefined) return;
    this.#log.error({ hostname }, `published ports are not registered: ${unknownHostAddress(derive, ipFamily)}`);
  }

  #followHost(derive: DeriveOptions, { address }: HostFacts): Promise<void> {
    return address.follow((before) => this.#hostMoved(derive, before, address.addresses), this.#watching.signal);
  }

  #hostMoved(derive: DeriveOptions, before: HostAddresses, hostAddress: HostAddresses): void {
    const was = Object.values(before).join(', ') || 'none';
    this.#log.info(
      { address: Object.values(hostAddress).join(', '), was },
      'this host has another address: services that are registered with it move',
    );
    this.#controller?.hostMoved(hostAddress);
    const address = ownAddress({ ...derive, hostAddress });
    if (address !== undefined) for (const { registry } of this.#reconcilers) registry.hostMoved?.(address);
  }

  #registries(engine: EngineInfo, derive?: DeriveOptions, facts?: HostFacts): Promise<Registry[]> {
    const address = derive && ownAddress(derive);
    const context = compact({
      owner: compact({
        host: engine.hostname,
        engine: engine.id,
        addresses: facts && (() => ownAddresses(this.#options, facts)),
      }),
      env: this.#env,
      log: this.#log,
      routes: this.#routes,
      surroundings: this.#surroundings,
      ttl: this.#options.ttl,
      hostAddress: address,
      catalogue: { ...this.#options.catalogue, httpNames: this.#options.httpNames },
    });
    return Promise.all(this.#options.registries.map((uri) => createRegistry(uri, context, this.#options.plugins)));
  }

  #reconciler(registry: Registry): Reconciler {
    const { ttl, ttlRefresh, healthTtl, resync, retryAttempts, retryInterval } = this.#options;
    const heartbeat = Math.min(HEALTH_REFRESH, healthTtl / 3, ttlRefresh ?? (ttl ?? Number.POSITIVE_INFINITY) / 3);
    return new Reconciler(
      registry,
      this.#desired,
      { resyncMs: resync * 1000, heartbeatMs: heartbeat * 1000, retryAttempts, retryIntervalMs: retryInterval },
      this.#log,
      this.#observer,
    );
  }
}

/** Waits for the promise, but no longer than so many milliseconds. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, milliseconds);
  await Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}
