import {
  type ContainerEvent,
  type ContainerSnapshot,
  containerName,
  type DockerHost,
  DockerWatcher,
  type Listed,
  phaseOf,
} from '../docker/index.ts';
import { backoff } from '../lib/backoff.ts';
import { type Logger, type Problems, problemsOf } from '../lib/log/index.ts';
import { shortId } from '../lib/short-id.ts';
import { KeyedQueue } from '../lib/work-queue.ts';
import type { DesiredState } from '../reconciler/index.ts';
import {
  type DeriveOptions,
  type IgnoredPort,
  idPrefix,
  joinedContainer,
  swarmServiceId,
  unregistered,
} from '../services/index.ts';
import { Drains } from './drains.ts';
import { ServiceResolver } from './service-resolver.ts';
import type { ContainerObserver, DockerStatus, UnregisteredContainer } from './status.ts';

export interface ContainerControllerOptions {
  readonly derive: DeriveOptions;
  /** `-deregister`: whether services of a container that failed stay. */
  readonly deregister: 'always' | 'on-success';
  /** Milliseconds between two listings of the containers; 0 for one a connection. */
  readonly resyncMs: number;
}

/** Inspections under way at once. */
const CONCURRENCY = 32;
/** After so many failed looks at one container the others' stale entries no longer wait for it. */
const FAILED_LOOKS_WAITED_FOR = 3;

/**
 * Keeps the desired state true to Docker. A container's event or changed listing marks its ID; working on an ID is to
 * look at the container as it is now and derive its services.
 */
export class ContainerController {
  readonly #docker: DockerHost;
  readonly #resolver: ServiceResolver;
  readonly #desired: DesiredState;
  readonly #options: ContainerControllerOptions;
  readonly #log: Logger;
  readonly #queue: KeyedQueue;
  readonly #watcher: DockerWatcher;
  /** The last listing, by container ID, less those that were seen to be otherwise since. */
  #listed = new Map<string, Listed>();
  /** Containers of the first listing that were not looked at yet. */
  #unseen: Set<string> | undefined;
  /** Containers that live in another one's network, by that one's ID. */
  readonly #joiners = new Map<string, Set<string>>();
  /** Tasks of Swarm services, which may change without a sign on the containers. */
  readonly #tasks = new Set<string>();
  /** Failed containers whose services stay, by ID: the prefix of those services' IDs, and what ends it. */
  readonly #retained = new Map<string, { readonly prefix: string; readonly timer: NodeJS.Timeout | undefined }>();
  /** Containers that Docker lists and says no more of, by ID: the prefix of their services' IDs. */
  readonly #unanswered = new Map<string, string>();
  readonly #drains = new Drains((id, seconds) => this.#undrain(id, seconds));
  readonly #problems: Problems;
  /** By container ID. */
  readonly #unregistered = new Map<string, UnregisteredContainer>();
  /** Why containers wait for the host's address, by ID. */
  readonly #waiting = new Map<string, string>();

  constructor(
    docker: DockerHost,
    desired: DesiredState,
    options: ContainerControllerOptions,
    log: Logger,
    observer?: ContainerObserver,
  ) {
    this.#docker = docker;
    this.#resolver = new ServiceResolver(docker, options.derive);
    this.#desired = desired;
    this.#options = options;
    this.#log = log;
    this.#problems = problemsOf(log);
    this.#queue = new KeyedQueue({
      concurrency: CONCURRENCY,
      batchSize: 1,
      retryDelay: (failures) => backoff(failures, 250, 30_000),
    });
    this.#watcher = new DockerWatcher(
      docker,
      { all: options.deregister === 'on-success', resyncMs: options.resyncMs },
      { onEvent: (event) => this.#onEvent(event, observer), onListing: (containers) => this.#onListing(containers) },
      log,
    );
  }

  get status(): DockerStatus {
    const { connected, connections } = this.#watcher;
    const [waits] = this.#waiting.values();
    return {
      connected,
      streams: connections,
      complete: this.#desired.complete,
      unregistered: [...this.#unregistered.values()],
      ...(waits && { waits }),
    };
  }

  /** The host has other addresses: every container is looked at again. */
  hostMoved(hostAddress: DeriveOptions['hostAddress']): void {
    this.#resolver.hostMoved(hostAddress);
    for (const id of new Set([...this.#listed.keys(), ...this.#desired.containerIds])) this.#queue.add(id);
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#queue.start(async ([id = ''], abort) => {
      try {
        await this.#look(id, abort);
        this.#seen(id);
        return new Map();
      } catch (error) {
        return this.#failed(id, error as Error, abort);
      }
    }, signal);
    await this.#watcher.run(signal);
    for (const { timer } of this.#retained.values()) clearTimeout(timer);
    this.#drains.close();
    await this.#queue.idle();
  }

  #onEvent(event: ContainerEvent, observer: ContainerObserver | undefined): void {
    observer?.containerEvent(event);
    if (event.action === 'kill') this.#onKill(event);
    else if (this.#canMatter(event)) this.#mark(event.containerId);
  }

  /** Traffic is to go elsewhere while the container still serves: its services leave without another look at it. */
  #onKill(event: ContainerEvent): void {
    const id = event.containerId;
    // The exit code decides there, and it is not known yet.
    if (this.#options.deregister === 'on-success' || !this.#drains.begins(event)) return;
    const services = this.#desired.of(id);
    const staying = services.filter((service) => service.drain !== true);
    if (staying.length === services.length) return;
    this.#log.info(
      { container: services[0]?.origin.containerName },
      'the container was told to stop: its services leave while it still serves',
    );
    this.#desired.set(id, staying);
  }

  #undrain(id: string, seconds: number): void {
    this.#log.info(
      { container: this.#listed.get(id)?.name || shortId(id) },
      `the container still runs ${seconds} s after it was told to stop: its services come back`,
    );
    this.#mark(id);
  }

  /** Around each start and end Docker tells of networks, too: they are no reason to look again. */
  #canMatter({ containerId, action }: ContainerEvent): boolean {
    if (this.#queue.isPending(containerId)) return action !== 'stop';
    // It starts, and start is what follows.
    if (action === 'connect') return this.#desired.has(containerId);
    // It has ended, and die came before.
    if (action === 'disconnect' || action === 'stop') return this.#desired.of(containerId).length > 0;
    return true;
  }

  #onListing(containers: readonly Listed[]): void {
    const before = this.#listed;
    this.#listed = new Map(containers.map((container) => [container.id, container]));
    if (this.#unseen === undefined) {
      this.#unseen = new Set(this.#listed.keys());
      this.#log.info({ containers: containers.length }, 'looking at the containers that run');
    }
    for (const [id, { fingerprint }] of this.#listed) {
      if (before.get(id)?.fingerprint !== fingerprint || this.#queue.failuresOf(id) > 0) this.#mark(id);
    }
    for (const id of this.#desired.containerIds) if (!this.#listed.has(id)) this.#mark(id);
    for (const id of this.#tasks) this.#mark(id);
    this.#completeWhenAllSeen();
  }

  #mark(containerId: string): void {
    this.#queue.add(containerId);
    for (const joiner of this.#joiners.get(containerId) ?? []) this.#queue.add(joiner);
  }

  async #look(id: string, signal: AbortSignal): Promise<void> {
    const snapshot = await this.#docker.inspect(id, signal);
    if (snapshot === undefined) return this.#forget(id);
    this.#drains.note(snapshot);
    // The container has changed since it was listed. If it changes back and that event is lost, the next listing equals the
    // last one, and would not make us look again: so the last one is forgotten.
    if (this.#listed.get(id)?.phase !== phaseOf(snapshot)) this.#listed.delete(id);
    if (this.#options.deregister === 'on-success' && failedOnItsOwn(snapshot)) return this.#retain(snapshot);
    this.#noteDependencies(snapshot);
    const derivation = await this.#resolver.derive(snapshot, signal);
    const fields = { container: containerName(snapshot.Name) };
    for (const { level, message } of derivation.notices) {
      this.#problems.tell({ about: id, cause: message, level, fields, message });
    }
    this.#noteUnregistered(snapshot, unregistered(derivation));
    const { services, waits } = derivation;
    if (waits === undefined) this.#waiting.delete(id);
    else this.#waiting.set(id, waits);
    this.#desired.set(id, this.#drains.has(id) ? services.filter((service) => service.drain !== true) : services);
    this.#unretain(id);
  }

  /** Marks for later what this container's services depend on beside itself. */
  #noteDependencies(snapshot: ContainerSnapshot): void {
    const { Id } = snapshot;
    const other = joinedContainer(snapshot);
    if (other !== undefined) this.#joiners.set(other, (this.#joiners.get(other) ?? new Set()).add(Id));
    if (this.#options.derive.swarm && swarmServiceId(snapshot) !== undefined) this.#tasks.add(Id);
  }

  #noteUnregistered({ Id, Name, Config, State }: ContainerSnapshot, ports: readonly IgnoredPort[]): void {
    if (ports.length === 0 || State?.Running !== true) this.#unregistered.delete(Id);
    else {
      const container = { containerId: Id, containerName: containerName(Name), image: Config?.Image ?? '', ports };
      this.#unregistered.set(Id, container);
    }
  }

  /** The services of a failed container stay for the TTL, or as long as the container does. */
  #retain({ Id, Name, State }: ContainerSnapshot): void {
    if (this.#retained.has(Id)) return;
    const seconds = this.#options.derive.ttl;
    const prefix = this.#idPrefix(Name);
    const expire = () => {
      this.#desired.delete(Id);
      this.#desired.keep(prefix, false);
    };
    this.#retained.set(Id, { prefix, timer: seconds === undefined ? undefined : setTimeout(expire, seconds * 1000) });
    // A former process may have registered them: their IDs are known though the container no longer shows its ports.
    this.#desired.keep(prefix, true);
    this.#log.info(
      { container: containerName(Name), exitCode: State.ExitCode },
      `the container failed: its services stay, as -deregister on-success asks, ${seconds === undefined ? 'until it is removed or started' : `for ${seconds} s`}`,
    );
  }

  #unretain(id: string): void {
    const retained = this.#retained.get(id);
    if (retained === undefined) return;
    clearTimeout(retained.timer);
    this.#retained.delete(id);
    this.#desired.keep(retained.prefix, false);
  }

  #forget(id: string): void {
    this.#desired.delete(id);
    this.#unretain(id);
    this.#drains.forget(id);
    this.#problems.forget(id);
    this.#unregistered.delete(id);
    this.#waiting.delete(id);
    this.#tasks.delete(id);
    this.#joiners.delete(id);
    for (const joiners of this.#joiners.values()) joiners.delete(id);
  }

  #seen(id: string): void {
    const prefix = this.#unanswered.get(id);
    this.#unanswered.delete(id);
    if (prefix !== undefined && !this.#retained.has(id)) this.#desired.keep(prefix, false);
    this.#waitNoLonger(id);
  }

  #waitNoLonger(id: string): void {
    this.#unseen?.delete(id);
    this.#completeWhenAllSeen();
  }

  #failed(id: string, error: Error, signal: AbortSignal): ReadonlyMap<string, Error> {
    if (signal.aborted) return new Map();
    const failures = this.#queue.failuresOf(id) + 1;
    this.#log[failures === FAILED_LOOKS_WAITED_FOR ? 'warn' : 'debug'](
      { container: shortId(id), err: error.message },
      'Docker does not tell about this container; its services stay as they are, and it is looked at again',
    );
    if (failures >= FAILED_LOOKS_WAITED_FOR && this.#watcher.connected) {
      this.#keepUnanswered(id);
      this.#waitNoLonger(id);
    }
    return new Map([[id, error]]);
  }

  /** A former process may have registered what this container means: that is not stale because Docker says nothing now. */
  #keepUnanswered(id: string): void {
    const name = this.#listed.get(id)?.name;
    if (name === undefined || this.#unanswered.has(id)) return;
    const prefix = this.#idPrefix(name);
    this.#unanswered.set(id, prefix);
    this.#desired.keep(prefix, true);
  }

  #idPrefix(name: string): string {
    return idPrefix(this.#options.derive.hostname, containerName(name));
  }

  #completeWhenAllSeen(): void {
    if (this.#unseen?.size !== 0 || this.#desired.complete) return;
    this.#desired.setComplete();
    this.#log.info({ services: [...this.#desired.services()].length }, 'looked at every container');
  }
}

/** As gliderlabs/registrator: exit code 0 or a signal's (the bit 128) is no failure. */
export function failedOnItsOwn({ State }: ContainerSnapshot): boolean {
  return (
    (State?.Status === 'exited' || State?.Status === 'dead') && State.ExitCode !== 0 && (State.ExitCode & 128) === 0
  );
}
