import type { CatalogueSettings, Surroundings } from '../catalogue/index.ts';
import type { Environment } from '../lib/environment.ts';
import type { HttpRoute } from '../lib/http/route.ts';
import type { Logger } from '../lib/log/index.ts';
import type { Health, Service } from '../services/index.ts';

/**
 * One entry as a registry holds it. `key` says where (one entry a key), `content` what: two entries of equal key and
 * content are the same, and are not written again.
 */
export interface Entry {
  readonly key: string;
  readonly content: string;
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** What the registry says of it now, where Docker says it there (`Service.health`). */
  readonly health?: Health['status'];
}

/**
 * What a registry is to the rest of registrator. It does what it is told and says what it holds; it decides nothing, retries
 * nothing and remembers nothing of what is wanted, for that is the reconciler's part. What may come, and what is demanded:
 *
 * **Concurrency.** `connect` comes first, and again after every `lost`. From then on calls of every kind may be under way at
 * once: up to 48 of `register` and `deregister` together, beside `refresh` and one `registered`. A key is in one `register` or
 * `deregister` at a time. After `close` nothing is called.
 *
 * **Signals.** Every call ends soon after its signal aborts, and by itself after a time-out of the registry's own (5 to 15
 * seconds are usual), also when the server takes the connection and then says nothing. Whether a call that was aborted had
 * an effect does not matter: the next `registered` tells.
 *
 * **Failures.** `register`, `deregister` and `refresh` have done all of their batch when they resolve. Where they did a part,
 * they reject with a BatchError that names each entry that failed, by key, with its reason; whatever it does not name counts
 * as done and is not sent again. Any other error means that nothing is known of the whole batch, which is then sent again.
 * A RefusedError, alone or in a BatchError, means that the registry is well and this service is at fault: it is tried again
 * ever more slowly. An error of another kind counts as an outage, so that `connect` is asked whether the registry is there.
 *
 * **What arrives.** Names, IDs, tags, metadata and their keys are what somebody wrote into a label: never empty (but for
 * values of metadata), else any text of any length, with slashes, dots alone, percent signs, control characters, lone
 * surrogates and emoji. Addresses are IP addresses or host names; ports are 1 to 65535. `entry` makes of every service a key
 * that the registry takes (`encodeSegment` helps), different for different services, or `register` refuses it. Where the
 * registry limits lengths, that is a RefusedError as well.
 */
export interface Registry {
  /** For logs and metric labels: the scheme and address, never a password or token. */
  readonly name: string;
  /** Whether clients see there how a service is. Where they do not, `--require-healthy` keeps out what is not ready. */
  readonly showsHealth?: boolean;
  /** How many services one `register` or `deregister` call may carry; 1 where the registry has no transactions. */
  readonly batchSize: number;

  /** Proves that the registry answers. Rejects with a sentence that says what to do. */
  connect(signal: AbortSignal): Promise<void>;
  /** What `register` would write for this service. Pure. */
  entry(service: Service): Entry;
  /**
   * Idempotent. Rejects with a BatchError where only some failed, so that the rest count as done; with a ConflictError
   * for what would be written over somebody else's entry.
   */
  register(services: readonly Service[], signal: AbortSignal): Promise<void>;
  /** Idempotent: gone already is success. Rejects as `register` does; a ConflictError: it is somebody else's by now. */
  deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void>;
  /** This host's own entries, whoever wrote them: this process, an earlier one, or gliderlabs/registrator. */
  registered(signal: AbortSignal): Promise<readonly Entry[]>;
  /** What the last `registered` found beside them. */
  others?(): Others;
  /** Heartbeat: extends the TTL of these services, and reports their `health`. Called at least every `--ttl-refresh`. */
  refresh?(services: readonly Service[], signal: AbortSignal): Promise<void>;
  /**
   * Resolves with a reason when what was written may have been lost (a connection that the server closed, an expired
   * session or lease); the reconciler then reads `registered` again. Rejects on abort.
   */
  lost?(signal: AbortSignal): Promise<string>;
  /**
   * Whether the registry itself removed this service, which the last `registered` no longer had: for its check, critical
   * for longer than its `deregisterAfter`.
   */
  expelled?(service: Service): boolean;
  /**
   * The DNS name by which a service of this name is found through this registry; undefined where there is none. Absent
   * where the registry is not asked by DNS.
   */
  dnsName?(serviceName: string): string | undefined;
  /**
   * Whether what is registered is all that runs here. The reconciler says false before it connects, and true when every
   * container was looked at: a registry that is read here keeps its clients waiting rather than show them a part.
   */
  setWhole?(whole: boolean): void;
  /** This host has another address of its own (`RegistryContext.hostAddress`) from now on. */
  hostMoved?(address: string): void;
  /** Ends sockets and timers. What is registered stays. */
  close(): Promise<void>;
}

/** Whether the registry is to hold the service now: one that shows nobody its health holds no service that is not ready. */
export function isHeld({ showsHealth }: Pick<Registry, 'showsHealth'>, { unready }: Service): boolean {
  return showsHealth === true || unready !== true;
}

/** What a registry holds that is not this host's. */
export interface Others {
  /** Who holds a key, as words for a sentence, such as `registrator on host "b"`. */
  readonly holders: ReadonlyMap<string, string>;
  /** How many entries bear our engine's ID under another host name, and not this host's address, by that name. */
  readonly twins: ReadonlyMap<string, number>;
}

/** Who this registrator is: the mark on what it writes. kit/owner.ts says whose an entry is by it. */
export interface Owner {
  /** The host's name, the first part of service IDs. It decides. */
  readonly host: string;
  /** The Docker engine's ID from `/info`: it tells a renamed host, and cloned machines share it. */
  readonly engine: string;
  /** IP addresses that are this host's own now, and no other's: none where they are not known. */
  readonly addresses?: () => ReadonlySet<string>;
}

/** What every registry is given, beside its URI. */
export interface RegistryContext {
  readonly owner: Owner;
  /** `--ttl` in seconds, where entries shall expire. */
  readonly ttl?: number;
  /** The host's own address, where known; the embedded catalogue's node address. */
  readonly hostAddress?: string;
  /** The embedded catalogue's own settings. */
  readonly catalogue?: CatalogueSettings;
  readonly env: Environment;
  readonly log: Logger;
  /** Pages for a registry that has an HTTP server of its own. */
  readonly routes?: readonly HttpRoute[];
  /** What a page of such a registry shows beside what it holds. */
  readonly surroundings?: () => Surroundings;
}

/** Throws an Error with one sentence when the URI or the environment is wrong. Opens nothing yet. */
export type RegistryFactory = (uri: string, context: RegistryContext) => Promise<Registry>;

/** A registry by the scheme of its URIs. */
export interface RegistryPlugin {
  /** As in `<scheme>://…`, lower case. */
  readonly scheme: string;
  readonly factory: RegistryFactory;
}

/** The registry understood, and said no: the service is at fault, not the connection. */
export class RefusedError extends Error {
  override readonly name: string = 'RefusedError';
}

/** Somebody else holds the key: their entry stays as it is, and the service waits until the way is free. */
export class ConflictError extends RefusedError {
  override readonly name = 'ConflictError';
  /** As words for a sentence: see `Others.holders`. */
  readonly holder: string;

  /** @param place what is held, as words: `The key a/b in etcd` */
  constructor(place: string, holder: string) {
    super(`${place} is held by ${holder}, and stays as it is`);
    this.holder = holder;
  }
}

/** The registry does not let us: rights may be given, and a token replaced, at any moment. */
export class ForbiddenError extends RefusedError {}

/** The registry cannot be used until a person changes something, such as a port that is taken: registrator ends. */
export class UnusableError extends Error {
  override readonly name: string = 'UnusableError';
}

/** Some of a batch failed, each for its own reason; what is not listed is done. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  readonly failures: ReadonlyMap<string, Error>;

  /** @param failures by entry key */
  constructor(failures: ReadonlyMap<string, Error>) {
    const [first] = failures.values();
    super(`${failures.size} of the batch failed, the first with: ${first?.message ?? 'no reason given'}`);
    this.failures = failures;
  }
}
