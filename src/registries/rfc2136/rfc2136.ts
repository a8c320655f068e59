import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, DecodedPacket } from 'dns-packet';
import { asError } from '../../lib/as-error.ts';
import type { Service } from '../../services/index.ts';
import { Findings, holderOf, ownership } from '../kit/index.ts';
import {
  BatchError,
  ConflictError,
  type Entry,
  ForbiddenError,
  type Others,
  type Owner,
  RefusedError,
  type Registry,
  type RegistryContext,
} from '../registry.ts';
import { entryFound, entryOf } from './entry.ts';
import { type InstanceRecords, keyOf, type Layout, markOf, recordsOf, type Shared } from './layout.ts';
import { encodeMark, type Mark } from './mark.ts';
import { question, textOf, updateMessage, type ZoneRecord, zoneRecord } from './message.ts';
import { OwnInstances } from './own.ts';
import { type Deed, sentenceOf } from './sentence.ts';
import { DnsRefusal, DnsServer } from './server.ts';
import { Turns } from './turns.ts';
import { type Change, type Held, type Sharers, updateOf } from './update.ts';
import { type Rfc2136Target, rfc2136Target } from './uri.ts';
import { instanceOf, readZone } from './zone.ts';

/** Bytes of a message, with room for its signature. */
const MESSAGE_BYTES = 65_000;
/** One that the server works on, and one on its way. */
const UPDATES_AT_ONCE = 2;
/** Looks at a name that changes under our hands. */
const TRIES = 5;
/** Milliseconds between two looks at the zone's serial. */
const WATCH_MS = 10_000;
/** What an update's conditions fail with (RFC 2136, section 3.2.5). */
const CONDITIONS: ReadonlySet<string> = new Set(['YXDOMAIN', 'YXRRSET', 'NXDOMAIN', 'NXRRSET']);

/** These say nothing of what the update is about: any other one would fail with them, too. */
const OF_ALL: ReadonlySet<string> = new Set(['NOTAUTH', 'NOTIMP', 'BADKEY', 'BADSIG', 'BADTIME', 'BADTRUNC']);

/** `rfc2136://server/zone`: any DNS server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945). */
export async function rfc2136(uri: string, context: RegistryContext): Promise<Registry> {
  const target = rfc2136Target(uri, context.env);
  if (context.ttl !== undefined) {
    context.log.warn(
      { registry: target.name },
      'a DNS server removes no records by itself: --ttl has no effect on this registry, and what a host that is gone for good has left stays until registrator cleanup',
    );
  }
  return new Rfc2136(target, context.owner);
}

/** What follows from a service: its records, or why a zone cannot hold it. */
type Derived = { readonly entry: Entry } & (
  | { readonly records: InstanceRecords; readonly refusal?: undefined }
  | { readonly refusal: Error; readonly records?: undefined }
);

/**
 * The server carries updates out one after the other: one is on its way to it while it works on another. What we know of
 * our own instances is true but for what others do, and the other update under way; against both every update has its
 * conditions.
 */
class Rfc2136 implements Registry {
  readonly name: string;
  readonly batchSize = 75;
  readonly #target: Rfc2136Target;
  readonly #layout: Layout;
  readonly #owner: Owner;
  readonly #servers: readonly DnsServer[];
  /** The one that took our updates last. */
  #server: DnsServer;
  readonly #own = new OwnInstances();
  #findings: Findings;
  #nameServers: ReadonlySet<string> = new Set();
  #serial: number | undefined;
  /** Whether we have written since it was read. */
  #hasWritten = false;
  readonly #turns = new Turns(UPDATES_AT_ONCE);
  /** What follows from a service, which is asked for several times a change and costs some hashes. */
  readonly #made = new WeakMap<Service, Derived>();

  constructor(target: Rfc2136Target, owner: Owner) {
    this.#target = target;
    this.#layout = target;
    this.name = target.name;
    this.#owner = owner;
    this.#findings = new Findings(owner);
    this.#servers = target.servers.map((server) => new DnsServer(server, target.key));
    this.#server = this.#servers[0] as DnsServer;
  }

  /** Takes the first server, from the present one on, that answers for the zone and takes updates from us. */
  async connect(signal: AbortSignal): Promise<void> {
    const failures: Error[] = [];
    const from = this.#servers.indexOf(this.#server);
    for (const server of [...this.#servers.slice(from), ...this.#servers.slice(0, from)]) {
      try {
        this.#noteSerial(serialOf(await this.#ask(server, question(this.#target.zone, 'SOA'), 'question', signal)));
        // Without a condition and a change it changes nothing, and shows whether we may.
        await this.#ask(server, updateMessage(this.#target.zone, [], []), 'update', signal);
        this.#server = server;
        return;
      } catch (error) {
        signal.throwIfAborted();
        const { message } = asError(error);
        failures.push(new Error(this.#servers.length === 1 ? message : `${server.address}: ${message}`));
      }
    }
    throw failures.length === 1 ? failures[0] : new Error(failures.map(({ message }) => message).join(' '));
  }

  entry(service: Service): Entry {
    return this.#derived(service).entry;
  }

  #derived(service: Service): Derived {
    const known = this.#made.get(service);
    if (known !== undefined) return known;
    const mark = markOf(service, this.#owner, this.#layout);
    let derived: Derived;
    try {
      const records = recordsOf(mark, this.#layout);
      derived = { records, entry: entryOf(records.key, records.mark.data, mark, this.#target.ttl) };
    } catch (error) {
      const entry = entryOf(keyOf(mark, this.#layout), encodeMark(mark), mark, this.#target.ttl);
      derived = { refusal: asError(error), entry };
    }
    this.#made.set(service, derived);
    return derived;
  }

  async register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    const failures = new Map<string, Error>();
    const changes = services.flatMap((service): Change[] => {
      const { entry, records, refusal } = this.#derived(service);
      const refused = refusal ?? this.#nameServerAt(records);
      if (refused !== undefined) failures.set(entry.key, refused);
      return refused === undefined ? [{ key: entry.key, before: this.#own.before(entry.key), after: records }] : [];
    });
    await this.#commit(changes, failures, signal);
  }

  async deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const changes = entries.map(({ key }): Change => ({ key, before: this.#own.before(key), after: undefined }));
    await this.#commit(changes, new Map(), signal);
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const answers = await this.#explained('transfer', this.#server.transfer(this.#target.zone, signal));
    const zone = readZone(answers, this.#layout);
    this.#noteSerial(zone.serial);
    this.#nameServers = zone.nameServers;
    this.#findings = new Findings(this.#owner);
    const own = [...zone.instances.values()].filter((instance) =>
      this.#findings.add(entryFound(instance), { mark: instance.mark }),
    );
    this.#own.replace(own);
    return this.#findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  /** Looks at the zone's serial now and then: where it goes back, the server has lost what it held. */
  async lost(signal: AbortSignal): Promise<string> {
    for (;;) {
      try {
        await sleep(WATCH_MS * (0.5 + Math.random()), undefined, { signal });
        const serial = serialOf(await this.#ask(this.#server, question(this.#target.zone, 'SOA'), 'question', signal));
        // Each change makes a new one (RFC 2136, section 3.6).
        const isUnmoved = this.#hasWritten && serial === this.#serial;
        if (this.#serial !== undefined && (isUnmoved || isBefore(serial, this.#serial)))
          return 'the zone went back to an older state';
        this.#noteSerial(serial);
      } catch (error) {
        signal.throwIfAborted();
        return asError(error).message;
      }
    }
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.close();
  }

  /** Why these may not be there: where a name is that of one of the zone's own servers. */
  #nameServerAt({ key, shared }: InstanceRecords): RefusedError | undefined {
    const taken = [key, ...shared.map(({ address }) => address.name)].find((name) => this.#nameServers.has(name));
    if (taken === undefined) return undefined;
    return new RefusedError(`${taken} is a name server of the zone: give the container another SERVICE_NAME.`);
  }

  /** @param failures of changes that are left out. @throws BatchError with all that failed */
  async #commit(changes: readonly Change[], failures: Map<string, Error>, signal: AbortSignal): Promise<void> {
    await this.#turns.take(signal, () => this.#write(changes, failures, signal));
    if (failures.size > 0) throw new BatchError(failures);
  }

  /** All at once; where that fails, each half by itself, and so on. */
  async #write(changes: readonly Change[], failures: Map<string, Error>, signal: AbortSignal): Promise<void> {
    const [first] = changes;
    if (first === undefined) return;
    const isKnown = changes.every(({ before, after }) => after !== undefined || before.kind !== 'nothing');
    if (changes.length > 1 && isKnown && (await this.#writeAll(changes, signal))) return;
    if (changes.length === 1) {
      await this.#writeAlone(first, signal).catch((error: unknown) => {
        if (!(error instanceof RefusedError)) throw error;
        failures.set(first.key, error);
      });
      return;
    }
    const half = Math.ceil(changes.length / 2);
    await this.#write(changes.slice(0, half), failures, signal);
    await this.#write(changes.slice(half), failures, signal);
  }

  /** @returns whether all was done; else nothing was */
  async #writeAll(changes: readonly Change[], signal: AbortSignal): Promise<boolean> {
    const message = this.#message(changes, (shared, leaving) => this.#own.sharers(shared, leaving));
    if (message === undefined) return false;
    try {
      await this.#server.ask(message, signal);
    } catch (error) {
      if (error instanceof DnsRefusal && !OF_ALL.has(error.code)) return false;
      throw this.#explain('update', error);
    }
    this.#note(changes);
    return true;
  }

  /**
   * From what we know; where that is no longer so, from what the zone has now.
   * @throws RefusedError
   */
  async #writeAlone(change: Change, signal: AbortSignal): Promise<void> {
    let current = change;
    let sharers = new Map<string, Sharers>();
    let code = '';
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0 || (current.before.kind === 'nothing' && current.after === undefined)) {
        const fresh = await this.#look(current, code, signal);
        if (fresh === undefined) return this.#own.note([{ ...current, after: undefined }]);
        current = fresh;
        sharers = await this.#lookForSharers(current, signal);
      }
      const message = this.#message(
        [current],
        (shared, leaving) => sharers.get(textOf(shared.address)) ?? this.#own.sharers(shared, leaving),
      );
      if (message === undefined) {
        throw new RefusedError('What its labels ask for does not fit into one DNS message: give it shorter ones.');
      }
      try {
        await this.#server.ask(message, signal);
        return this.#note([current]);
      } catch (error) {
        if (!(error instanceof DnsRefusal) || OF_ALL.has(error.code)) throw this.#explain('update', error);
        if (!CONDITIONS.has(error.code)) throw this.#refused(error);
        code = error.code;
      }
    }
    if (code === 'YXRRSET') throw new RefusedError(aliasOf(current.after));
    throw new Error(`the DNS server says ${code} again and again: ${current.key} changes under our hands`);
  }

  /** These changes were carried out. */
  #note(changes: readonly Change[]): void {
    this.#hasWritten = true;
    this.#own.note(changes);
  }

  #noteSerial(serial: number | undefined): void {
    this.#serial = serial;
    this.#hasWritten = false;
  }

  #message(
    changes: readonly Change[],
    sharersOf: (shared: Shared, leaving: ReadonlySet<string>) => Sharers,
  ): Buffer | undefined {
    const update = updateOf(changes, this.#target.ttl, sharersOf);
    const message = updateMessage(this.#target.zone, update.conditions, update.changes);
    return message.length > MESSAGE_BYTES ? undefined : message;
  }

  /**
   * The change as it has to be from what the zone has now; undefined where there is nothing left to do.
   * @param code what the last try failed with. @throws ConflictError where the name is somebody else's
   */
  async #look(change: Change, code: string, signal: AbortSignal): Promise<Change | undefined> {
    const { key, after } = change;
    const texts = await this.#records(key, 'TXT', signal);
    const instance = instanceOf(key, texts, this.#layout);
    if (instance !== undefined && ownership(this.#owner, { ...instance.mark, mark: instance.mark }) === 'own') {
      return { ...change, before: { kind: 'held', held: instance } };
    }
    if (instance !== undefined) throw this.#conflict(key, instance.mark);
    if (after === undefined) return undefined;
    if (texts.length > 0) throw this.#conflict(key);
    if (code !== 'YXDOMAIN') return { ...change, before: { kind: 'nothing' } };
    const addresses = [...(await this.#records(key, 'A', signal)), ...(await this.#records(key, 'AAAA', signal))];
    const wanted = after.own.find(({ name }) => name === key);
    const isSame = addresses.length === 1 && addresses.every((one) => wanted && textOf(one) === textOf(wanted));
    if (!isSame) throw this.#conflict(key);
    return { ...change, before: { kind: 'unmarked' } };
  }

  #conflict(key: string, mark?: Mark): ConflictError {
    return new ConflictError(`The name ${key}`, holderOf({ id: mark?.id ?? '', mark }));
  }

  /** Who else has the addresses that the change gives up, by the address' record. */
  async #lookForSharers({ key, before, after }: Change, signal: AbortSignal): Promise<Map<string, Sharers>> {
    const found = new Map<string, Sharers>();
    if (before.kind !== 'held') return found;
    const kept = new Set(after?.shared.map(({ claim }) => textOf(claim)));
    for (const { address, claim } of before.held.records.shared) {
      if (kept.has(textOf(claim))) continue;
      const claims = (await this.#records(claim.name, 'PTR', signal)).flatMap(({ data }) =>
        typeof data === 'string' ? data : [],
      );
      const witness = await this.#witness(
        claim,
        claims.filter((other) => other !== key),
        signal,
      );
      found.set(textOf(address), witness === undefined ? { claims } : { witness });
    }
    return found;
  }

  /** The first of the claimants that is there, and has this claim. */
  async #witness(claim: ZoneRecord, claimants: readonly string[], signal: AbortSignal): Promise<Held | undefined> {
    for (const key of claimants) {
      const instance = instanceOf(key, await this.#records(key, 'TXT', signal), this.#layout);
      if (instance?.records.shared.some((shared) => shared.claim.name === claim.name)) return instance;
    }
    return undefined;
  }

  /** What the server has of this name and type, now. */
  async #records(
    name: string,
    type: 'A' | 'AAAA' | 'TXT' | 'PTR',
    signal: AbortSignal,
  ): Promise<readonly ZoneRecord[]> {
    const answer = await this.#server.ask(question(name, type), signal).catch((error: unknown) => {
      if (error instanceof DnsRefusal && error.code === 'NXDOMAIN') return undefined;
      throw this.#explain('question', error);
    });
    const records = (answer?.answers ?? []).flatMap((one: Answer) => zoneRecord(one) ?? []);
    return records.filter((record) => record.name === name && record.type === type);
  }

  #ask(server: DnsServer, message: Buffer, deed: Deed, signal: AbortSignal): Promise<DecodedPacket> {
    return this.#explained(deed, server.ask(message, signal));
  }

  #explained<T>(deed: Deed, answer: Promise<T>): Promise<T> {
    return answer.catch((error: unknown) => {
      throw this.#explain(deed, error);
    });
  }

  #refused(error: DnsRefusal): RefusedError {
    const Kind = error.code === 'REFUSED' ? ForbiddenError : RefusedError;
    return new Kind(sentenceOf(error, 'update', this.#target));
  }

  #explain(deed: Deed, error: unknown): Error {
    return error instanceof DnsRefusal ? new Error(sentenceOf(error, deed, this.#target)) : asError(error);
  }
}

function aliasOf(after: InstanceRecords | undefined): string {
  const names = [...(after?.own ?? []), ...(after?.shared ?? []).map(({ address }) => address)].map(({ name }) => name);
  return `The zone has an alias (CNAME) at one of the names ${[...new Set(names)].join(', ')}, or, at that of a tag, an instance: give the container another SERVICE_NAME or tag.`;
}

/** @throws Error where the answer says nothing of the zone itself */
function serialOf({ answers = [] }: DecodedPacket): number {
  const soa = answers.find((answer) => answer.type === 'SOA');
  if (soa?.type !== 'SOA' || soa.data.serial === undefined) {
    throw new Error('the DNS server does not know the zone: check its name in the URI');
  }
  return soa.data.serial;
}

/** RFC 1982: serials go round in a circle. */
const isBefore = (serial: number, other: number) => serial !== other && (other - serial) >>> 0 < 2 ** 31;
