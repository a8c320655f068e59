import {
  type ContainerEvent,
  type ContainerSnapshot,
  type DockerHost,
  DockerWatcher,
  type Listed,
} from './docker/index.ts';
import type { Logger } from './ops/index.ts';
import { backoff, type Desired, KeyedQueue } from './reconciler/index.ts';
import {
  type Derivation,
  type DeriveContext,
  type DeriveOptions,
  derive,
  joinedContainer,
  needsImageTags,
} from './services/index.ts';

export interface SourceOptions {
  readonly derive: DeriveOptions;
  /** `-deregister`: whether services of a container that failed stay. */
  readonly deregister: 'always' | 'on-success';
  /** Milliseconds between two listings of the containers; 0 for one a connection. */
  readonly resyncMs: number;
}

/** Inspections under way at once. */
const CONCURRENCY = 16;
/** After so many failed looks at one container the others' stale entries no longer wait for it. */
const PATIENCE = 3;
/** httpGet of `--tags`: how long, in milliseconds, and how much, in characters. */
const FETCH_TIMEOUT = 10_000;
const FETCH_SIZE = 1_000_000;
const FETCH_ROUNDS = 5;

/**
 * Keeps the desired state true to Docker. A container's event or changed listing marks its ID; working on an ID is to
 * look at the container as it is now and derive its services.
 */
export class Source {
  readonly #docker: DockerHost;
  readonly #desired: Desired;
  readonly #options: SourceOptions;
  readonly #log: Logger;
  readonly #queue: KeyedQueue;
  readonly #watcher: DockerWatcher;
  /** Fingerprints of the last listing, by container ID. */
  #listed = new Map<string, string>();
  /** Containers of the first listing that were not looked at yet. */
  #unseen: Set<string> | undefined;
  /** Containers that live in another one's network, by that one's ID. */
  readonly #joiners = new Map<string, Set<string>>();
  /** Failed containers whose services stay, by ID: the prefix of those services' IDs, and what ends it. */
  readonly #retained = new Map<string, { readonly prefix: string; readonly timer: NodeJS.Timeout | undefined }>();
  readonly #told = new Map<string, Set<string>>();

  constructor(docker: DockerHost, desired: Desired, options: SourceOptions, log: Logger) {
    this.#docker = docker;
    this.#desired = desired;
    this.#options = options;
    this.#log = log;
    this.#queue = new KeyedQueue({
      concurrency: CONCURRENCY,
      batchSize: 1,
      retryDelay: (failures) => backoff(failures, 250, 30_000),
    });
    this.#watcher = new DockerWatcher(
      docker,
      { all: options.deregister === 'on-success', resyncMs: options.resyncMs },
      { onEvent: (event) => this.#onEvent(event), onListing: (containers) => this.#onListing(containers) },
      log,
    );
  }

  get connected(): boolean {
    return this.#watcher.connected;
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
    await this.#queue.idle();
  }

  #onEvent({ containerId }: ContainerEvent): void {
    this.#mark(containerId);
  }

  #onListing(containers: readonly Listed[]): void {
    const before = this.#listed;
    this.#listed = new Map(containers.map(({ id, fingerprint }) => [id, fingerprint]));
    if (this.#unseen === undefined) {
      this.#unseen = new Set(this.#listed.keys());
      this.#log.info({ containers: containers.length }, 'looking at the containers that run');
    }
    for (const [id, fingerprint] of this.#listed) if (before.get(id) !== fingerprint) this.#mark(id);
    for (const id of this.#desired.containerIds) if (!this.#listed.has(id)) this.#mark(id);
    this.#completeWhenAllSeen();
  }

  #mark(containerId: string): void {
    this.#queue.add(containerId);
    for (const joiner of this.#joiners.get(containerId) ?? []) this.#queue.add(joiner);
  }

  async #look(id: string, signal: AbortSignal): Promise<void> {
    const snapshot = await this.#docker.inspect(id, signal);
    if (snapshot === undefined) return this.#forget(id);
    if (this.#failedOnItsOwn(snapshot)) return this.#retain(snapshot);
    this.#unretain(id);
    const derivation = await this.#derive(snapshot, signal);
    for (const { level, message } of derivation.notices) this.#tellOnce(id, level, message, snapshot.Name);
    this.#desired.set(id, derivation.services);
  }

  async #derive(snapshot: ContainerSnapshot, signal: AbortSignal): Promise<Derivation> {
    const fetched = new Map<string, string>();
    const context: DeriveContext = {
      fetched,
      ...(await this.#joined(snapshot, signal)),
      ...(needsImageTags(snapshot) ? { imageTags: await this.#docker.imageTags(snapshot.Image, signal) } : {}),
    };
    for (let round = 1; ; round += 1) {
      const derivation = derive(snapshot, this.#options.derive, context);
      if (derivation.fetches.length === 0 || round > FETCH_ROUNDS) return derivation;
      for (const url of derivation.fetches) fetched.set(url, await this.#fetch(url, snapshot, signal));
    }
  }

  async #joined(snapshot: ContainerSnapshot, signal: AbortSignal): Promise<Pick<DeriveContext, 'joined'>> {
    const other = joinedContainer(snapshot);
    if (other === undefined) return {};
    const joiners = this.#joiners.get(other) ?? new Set();
    this.#joiners.set(other, joiners.add(snapshot.Id));
    const joined = await this.#docker.inspect(other, signal);
    return joined === undefined ? {} : { joined };
  }

  async #fetch(url: string, snapshot: ContainerSnapshot, signal: AbortSignal): Promise<string> {
    try {
      const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT)]) });
      return (await response.text()).slice(0, FETCH_SIZE);
    } catch (error) {
      signal.throwIfAborted();
      const reason = `httpGet in --tags got no answer (${(error as Error).message}); the tag is made as if the answer were empty.`;
      this.#tellOnce(snapshot.Id, 'warn', reason, snapshot.Name);
      return '';
    }
  }

  /** As gliderlabs/registrator: exit code 0 or a signal's (the bit 128) is no failure. */
  #failedOnItsOwn({ State }: ContainerSnapshot): boolean {
    if (this.#options.deregister === 'always') return false;
    return (
      (State?.Status === 'exited' || State?.Status === 'dead') && State.ExitCode !== 0 && (State.ExitCode & 128) === 0
    );
  }

  /** The services of a failed container stay for the TTL, or as long as the container does. */
  #retain({ Id, Name, State }: ContainerSnapshot): void {
    if (this.#retained.has(Id)) return;
    const seconds = this.#options.derive.ttl;
    const prefix = `${this.#options.derive.hostname}:${plainName(Name)}:`;
    const expire = () => {
      this.#desired.delete(Id);
      this.#desired.keep(prefix, false);
    };
    this.#retained.set(Id, { prefix, timer: seconds === undefined ? undefined : setTimeout(expire, seconds * 1000) });
    // A former process may have registered them: their IDs are known though the container no longer shows its ports.
    this.#desired.keep(prefix, true);
    this.#log.info(
      { container: plainName(Name), exitCode: State.ExitCode },
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
    this.#told.delete(id);
    this.#joiners.delete(id);
    for (const joiners of this.#joiners.values()) joiners.delete(id);
  }

  #seen(id: string): void {
    this.#unseen?.delete(id);
    this.#completeWhenAllSeen();
  }

  #failed(id: string, error: Error, signal: AbortSignal): ReadonlyMap<string, Error> {
    if (signal.aborted) return new Map();
    const failures = this.#queue.failuresOf(id) + 1;
    this.#log[failures === PATIENCE ? 'warn' : 'debug'](
      { container: id.slice(0, 12), err: error.message },
      'Docker does not tell about this container; its services stay as they are, and it is looked at again',
    );
    if (failures >= PATIENCE && this.connected) this.#seen(id);
    return new Map([[id, error]]);
  }

  #completeWhenAllSeen(): void {
    if (this.#unseen?.size !== 0 || this.#desired.complete) return;
    this.#desired.setComplete();
    this.#log.info({ services: [...this.#desired.services()].length }, 'looked at every container');
  }

  #tellOnce(id: string, level: 'debug' | 'info' | 'warn', message: string, name: string): void {
    const told = this.#told.get(id) ?? new Set();
    this.#told.set(id, told);
    if (told.has(message)) return;
    told.add(message);
    this.#log[level]({ container: plainName(name) }, message);
  }
}

const plainName = (name: string | undefined) => (name ?? '').replace(/^\//, '');
