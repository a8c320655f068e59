import { compact } from '../lib/compact.ts';
import { hostPort } from '../lib/host-port.ts';
import { type Logger, type Problems, problemsOf } from '../lib/log/index.ts';
import { quote } from '../lib/quote.ts';
import { ConflictError, type Entry, type Others, RefusedError } from '../registries/index.ts';
import type { Service } from '../services/index.ts';
import { isOwnId, type WantedEntry } from './claim-table.ts';
import type { Action } from './status.ts';

/** How many failed keys are remembered. */
const MEMORY = 10_000;
/** Containers that a line on a conflict names. */
const NAMED = 5;
/** Milliseconds between two warnings that services were gone. */
const LOSS_QUIET = 600_000;

/** What a reconciler has to say: each thing once, as a sentence for the person who reads the log. */
export class ReconcilerLog {
  readonly #log: Logger;
  readonly #problems: Problems;
  readonly #registry: string;
  /** Until when, by performance.now(), another loss is no news. */
  #quietUntil = 0;
  #toldOfDispute = false;
  #toldOfReturns = false;
  readonly #twins = new Set<string>();
  /** What was last said of a key that failed. */
  readonly #said = new Map<string, string>();

  constructor(log: Logger, registry: string) {
    this.#log = log.child({ registry });
    this.#problems = problemsOf(log);
    this.#registry = registry;
  }

  away(error: Error): void {
    this.#log.warn({ err: error.message }, 'the registry does not answer; services wait here, and it is tried again');
  }

  connected(): void {
    this.#log.info('connected to the registry');
  }

  back(): void {
    this.#log.info('the registry answers again');
  }

  unreadable(error: string): void {
    this.#log.warn({ err: error }, 'the registry cannot be read; services wait here, and it is tried again');
  }

  readingAgain(reason: string): void {
    this.#log.debug({ reason }, 'reading the registry again: what was written may be lost');
  }

  deregisteredAll(services: number): void {
    this.#log.info({ services }, 'deregistered every service, as --deregister-on-exit asks');
  }

  done(action: Action, entry: Entry, service: Service | undefined): void {
    this.over(entry.key);
    if (action === 'refresh') {
      this.#log.info({ ...about(entry, service), health: entry.health ?? 'passing' }, 'health changed');
      return;
    }
    const fields = { ...about(entry, service), address: hostPort(entry.address, entry.port) };
    this.#note('info', entry, service, fields, `${action}ed`);
  }

  /** @param again whether it had failed before */
  failed(action: Action, entry: Entry, service: Service | undefined, error: Error, again: boolean): void {
    const fields = { ...about(entry, service), err: error.message };
    if (!(error instanceof RefusedError)) {
      const message = `could not ${action} this service; trying again, less often each time`;
      this.#note(again ? 'debug' : 'warn', entry, service, fields, message);
      return;
    }
    const said = this.#said.get(entry.key) === `${action} ${error.message}`;
    if (this.#said.size < MEMORY) this.#said.set(entry.key, `${action} ${error.message}`);
    if (error instanceof ConflictError) this.#inConflict(entry, service, error, said ? 'debug' : 'error');
    else
      this.#note(
        said ? 'debug' : 'warn',
        entry,
        service,
        fields,
        `the registry refuses to ${action} this service: ${sentence(error)} The others go on, and it is tried again later`,
      );
  }

  #inConflict(entry: Entry, service: Service | undefined, error: ConflictError, level: 'debug' | 'error'): void {
    const whose = service === undefined ? '' : ` of container ${service.origin.containerName}`;
    this.#note(
      level,
      entry,
      service,
      { ...about(entry, service), holder: error.holder },
      `the service ${entry.name}${whose} is in conflict: ${sentence(error)} It waits, and is registered within a resync once the way is free: give the container another SERVICE_ID, or remove the other entry`,
    );
  }

  /** Ten lines a minute and container. */
  #note(
    level: 'debug' | 'info' | 'warn' | 'error',
    entry: Entry,
    service: Service | undefined,
    fields: Readonly<Record<string, unknown>>,
    message: string,
  ): void {
    const about = `${this.#registry} ${service?.origin.containerId ?? entry.id}`;
    this.#problems.note({ about, level, fields, message }, this.#log);
  }

  /** What failed with the key is over: the next failure is news. */
  over(key: string): void {
    this.#said.delete(key);
  }

  leftAlone(entry: Entry, service: Service | undefined, { holder, message }: ConflictError): void {
    this.#log.info({ ...about(entry, service), holder }, `not deregistered: ${message}`);
  }

  /** @param place the registry's URI, as far as it is no secret */
  twins({ twins }: Others, place: string): void {
    for (const [host, entries] of twins) {
      if (this.#twins.has(host)) continue;
      this.#twins.add(host);
      const name = host === '' ? 'another host' : `the host "${host}"`;
      const cleanup = `registrator cleanup --hostname ${host === '' ? 'OLD' : host} ${place}`;
      this.#log.warn(
        { entries, host },
        `${entries} entries of ${name} bear the ID of this host's Docker engine: they are left alone. Either that is a cloned machine (remove /etc/docker/key.json or its engine-id on one of them, and restart Docker), or this host was renamed and moved: then remove them with ${cleanup}`,
      );
    }
  }

  /** @param dnsName what finds it; undefined where nothing does */
  otherDnsName({ name, origin }: Service, dnsName: string | undefined): void {
    const advice = 'give it a SERVICE_NAME of letters, digits and dashes, 63 at most';
    const fields = { service: name, container: origin.containerName };
    const message =
      dnsName === undefined
        ? `no DNS name finds services of the name ${quote(name)}: ${advice}`
        : `services of the name ${quote(name)} are found in DNS as ${dnsName}; for a name of your own ${advice}`;
    // By the name: each of many replicas has it.
    this.#problems.tell({ about: `DNS ${name}`, cause: this.#registry, level: 'warn', fields, message }, this.#log);
  }

  /** @param wait milliseconds */
  expelled({ id, name, check, origin }: Service, wait: number): void {
    this.#log.warn(
      { service: name, id, container: origin.containerName, seconds: Math.round(wait / 1000) },
      `the registry removed this service, which was critical for longer than its SERVICE_CHECK_DEREGISTER_AFTER (${check?.deregisterAfter}); it comes back after a while, as critical until its check passes`,
    );
  }

  gone(services: number): void {
    if (services === 0) return;
    const now = performance.now();
    // Where somebody removes them again and again, once in a while is enough.
    const level = now < this.#quietUntil ? 'info' : 'warn';
    if (level === 'warn') this.#quietUntil = now + LOSS_QUIET;
    const words = `${services} services of this host were gone from the registry; registering them again`;
    this.#log[level]({ gone: services }, words);
  }

  conflict(key: string, claims: readonly WantedEntry[]): void {
    const names = claims.map(({ service }) => service?.origin.containerName);
    const others = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
    const fields = { service: claims[0]?.service.name, id: claims[0]?.service.id, containers: names };
    const why = claims[0] !== undefined && isOwnId(claims[0].service) ? 'whose own ID it is' : 'which started last';
    const message = `containers ${names.slice(0, NAMED).join(' and ')}${others} claim the same entry; ${names[0]}, ${why}, has it: give them different SERVICE_ID labels`;
    const about = `${this.#registry} ${key}`;
    this.#problems.tell({ about, cause: names.join(' '), level: 'warn', fields, message }, this.#log);
  }

  returned(keys: readonly string[]): void {
    if (keys.length === 0 || this.#toldOfReturns) return;
    this.#toldOfReturns = true;
    this.#log.warn(
      { entries: keys.slice(0, 10) },
      "what was removed as stale came back twice: another registrator bears this host's name, and such entries are left alone from now on. Give each registrator its own --hostname",
    );
  }

  dispute(keys: readonly string[]): void {
    if (keys.length === 0 || this.#toldOfDispute) return;
    this.#toldOfDispute = true;
    this.#log.warn(
      { entries: keys.slice(0, 10) },
      'somebody else writes entries of this host in another way, again and again: a second registrator with other settings? They are left as they are for a while; stop one of the two, or give it another --hostname',
    );
  }
}

function about(entry: Entry, service: Service | undefined): Record<string, string> {
  return compact({ service: entry.name, id: entry.id, container: service?.origin.containerName });
}

/** Refusals in the words of a registry end as they like. */
const sentence = ({ message }: Error) => (/[.!?]$/.test(message) ? message : `${message}.`);
