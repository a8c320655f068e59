import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import Docker from 'dockerode';
import * as v from 'valibot';
import { checked } from '../lib/checked.ts';
import { Transport } from '../lib/http/index.ts';
import { commonVersion, isBelow, isVersion, NEWEST_KNOWN } from './api-version.ts';
import type { DockerConnection } from './connection.ts';
import { containerName } from './container-name.ts';
import { EngineError, Modem } from './modem.ts';
import type { ContainerSnapshot } from './snapshot.ts';

export interface EngineInfo {
  /** The host's name as Docker knows it. */
  readonly hostname: string;
  /** Stays the same across restarts of the engine. */
  readonly id: string;
  readonly version: string;
}

/** A container in a listing. */
export interface Listed {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** `running`, `paused`, `exited` … */
  readonly state: string;
  /** Changes whenever anything changed from which services are derived. */
  readonly fingerprint: string;
  /** See `phaseOf`. */
  readonly phase: string;
}

/** A hint that a container changed; what it is now is to be looked up. */
export interface ContainerEvent {
  readonly containerId: string;
  readonly action: string;
  /** Of a `kill`: which signal was sent, as the engine writes it (`15`). */
  readonly signal?: string;
  /** Nanoseconds since the epoch, as `since` takes them: `<seconds>.<nanoseconds>`. */
  readonly time: string;
}

/** A container's ID or name, or an image's ID: what else Docker may say would change the path that is asked for. */
const REFERENCE = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/;

/** What is read of a listing; but for the ID, each field may be missing or null. */
const LISTED_CONTAINER = v.object({
  Id: v.string(),
  Names: v.nullish(v.array(v.string())),
  State: v.nullish(v.string()),
  Status: v.nullish(v.string()),
  Ports: v.nullish(v.array(v.unknown())),
  NetworkSettings: v.optional(v.unknown()),
  Image: v.optional(v.unknown()),
});
type ListedContainer = v.InferInput<typeof LISTED_CONTAINER>;
const LISTING = v.array(LISTED_CONTAINER);
const INFO = v.object({
  Name: v.nullish(v.string()),
  ID: v.nullish(v.string()),
  ServerVersion: v.nullish(v.string()),
});
const IMAGE = v.object({ RepoTags: v.nullish(v.array(v.string())) });
/** The rest of an inspection is read as it is needed, each field by itself: see services/container.ts. */
const INSPECTION = v.object({ Id: v.string() });

/** Each call of dockerode's takes a signal; its types do not know that of all. */
interface SignalCalls {
  ping(options: { abortSignal: AbortSignal }): Promise<unknown>;
  version(options: { abortSignal: AbortSignal }): Promise<{ MinAPIVersion?: unknown }>;
  info(options: { abortSignal: AbortSignal }): Promise<unknown>;
  getEvents(options: { abortSignal: AbortSignal; filters: object; since?: string }): Promise<Readable>;
}
type Engine = SignalCalls & Omit<Docker, keyof SignalCalls>;

/**
 * One Docker engine, by dockerode: the few read-only calls that registrator makes. Works with Engine API 1.41 and later,
 * and Podman's.
 */
export class DockerHost {
  readonly name: string;
  readonly #transport: Transport;
  readonly #modem: Modem;
  readonly #engine: Engine;
  readonly #apiVersion: string | undefined;
  /** Whether it is settled which version of the API is spoken. */
  #agreed = false;

  constructor({ destination, name, apiVersion }: DockerConnection) {
    this.name = name;
    this.#transport = new Transport(destination);
    this.#modem = new Modem(this.#transport);
    this.#engine = new Docker({ modem: this.#modem } as Docker.DockerOptions) as unknown as Engine;
    this.#apiVersion = apiVersion;
  }

  async info(signal: AbortSignal): Promise<EngineInfo> {
    const answer = await (await this.#agreedEngine(signal)).info({ abortSignal: signal });
    // To valibot a list is an object, too, and nothing of this has to be there.
    const info = checked(INFO, Array.isArray(answer) ? undefined : answer, NOT_DOCKER);
    return { hostname: info.Name ?? '', id: info.ID ?? '', version: info.ServerVersion ?? '' };
  }

  /** @param all with those that do not run */
  async list(all: boolean, signal: AbortSignal): Promise<Listed[]> {
    const engine = await this.#agreedEngine(signal);
    const answer: unknown = await engine.listContainers({ all, abortSignal: signal });
    return checked(LISTING, answer, NOT_DOCKER).map((container) => ({
      id: container.Id,
      name: containerName(container.Names?.[0]),
      state: container.State ?? '',
      fingerprint: fingerprint(container),
      phase: listedPhase(container),
    }));
  }

  /** @returns undefined when there is no such container */
  async inspect(containerId: string, signal: AbortSignal): Promise<ContainerSnapshot | undefined> {
    if (!REFERENCE.test(containerId)) return undefined;
    const container = (await this.#agreedEngine(signal)).getContainer(containerId);
    const answer: unknown = await container.inspect({ abortSignal: signal }).catch(unlessMissing);
    return answer === undefined ? undefined : (checked(INSPECTION, answer, NOT_DOCKER) as ContainerSnapshot);
  }

  /** The names of an image, `redis:latest`; none when it has none, or is gone. */
  async imageTags(imageId: string, signal: AbortSignal): Promise<readonly string[]> {
    if (!REFERENCE.test(imageId)) return [];
    const image = (await this.#agreedEngine(signal)).getImage(imageId);
    const options = { abortSignal: signal } as Docker.ImageInspectOptions;
    const answer: unknown = await image.inspect(options).catch(unlessMissing);
    return answer === undefined ? [] : (checked(IMAGE, answer, NOT_DOCKER).RepoTags ?? []);
  }

  /**
   * A Swarm service, as Docker gives it; undefined when there is no such one.
   *
   * @returns `no manager` where this node is none: only managers know services
   */
  async swarmService(id: string, signal: AbortSignal): Promise<unknown> {
    if (!REFERENCE.test(id)) return undefined;
    const service = (await this.#agreedEngine(signal)).getService(id);
    return service.inspect({ abortSignal: signal }).catch((error: unknown) => {
      if (error instanceof EngineError && error.statusCode === 503) return 'no manager';
      return unlessMissing(error);
    });
  }

  /**
   * Docker's events on containers and their networks, from `since` on (see `ContainerEvent.time`), or from now. Resolves
   * once Docker has answered: no later event is missed. The events end when Docker ends them, and throw when the
   * connection breaks or the signal aborts.
   */
  async events(since: string | undefined, signal: AbortSignal): Promise<AsyncIterable<ContainerEvent>> {
    // It is opened anew where the last one broke or fell silent: what was kept alive beside it may be as dead.
    this.#transport.renewConnections();
    // The engine may be another one by now.
    this.#agreed = false;
    const filters = { type: ['container', 'network'] };
    const from = since === undefined ? {} : { since };
    const engine = await this.#agreedEngine(signal);
    return parseEvents(await engine.getEvents({ filters, ...from, abortSignal: signal }));
  }

  close(): void {
    this.#transport.close();
  }

  /** Once it is settled which version of the API is spoken. */
  async #agreedEngine(signal: AbortSignal): Promise<Engine> {
    if (!this.#agreed) {
      this.#modem.version = this.#apiVersion ?? (await this.#negotiate(signal));
      this.#agreed = true;
    }
    return this.#engine;
  }

  /** @returns empty for the engine's newest: where it does not say which that is, or a proxy does not let us ask */
  async #negotiate(signal: AbortSignal): Promise<string> {
    this.#modem.offered = undefined;
    await this.#engine.ping({ abortSignal: signal }).catch(unlessRefused);
    const newest = this.#modem.offered;
    if (!isVersion(newest)) return '';
    if (!isBelow(NEWEST_KNOWN, newest)) return commonVersion({ newest });
    const about = await this.#engine.version({ abortSignal: signal }).catch(unlessRefused);
    const least = about?.MinAPIVersion;
    return commonVersion({ newest, ...(isVersion(least) && { least }) });
  }
}

/** A proxy's page, say: it must not be taken for news that a container has changed. */
const NOT_DOCKER = "this is no answer of Docker's";

function unlessMissing(error: unknown): undefined {
  if (error instanceof EngineError && error.statusCode === 404) return undefined;
  throw error;
}

function unlessRefused(error: unknown): undefined {
  if (error instanceof EngineError) return undefined;
  throw error;
}

/**
 * A container's name, state and health in one text, to compare an inspection with a listing. These can change and change
 * back, so two equal listings do not prove that nothing happened between them. (Networks and ports cannot: their IDs and
 * addresses are new each time.)
 */
export function phaseOf({ Name, State }: ContainerSnapshot): string {
  return phase(Name, State?.Status, State?.Health?.Status);
}

function listedPhase({ Names, State, Status }: ListedContainer): string {
  return phase(Names?.[0], State ?? undefined, /\((?:health: )?([a-z]+)\)/.exec(Status ?? '')?.[1]);
}

function phase(name = '', state = '', health = ''): string {
  // A paused container's health is not listed, and `none` is Docker's word for no health check.
  return `${name} ${state} ${state === 'running' && health !== 'none' ? health : ''}`;
}

/** Every part of a listing that can change in a container's life, but the uptime. Docker gives some lists in random order. */
function fingerprint(container: ListedContainer): string {
  const { Names, State, Status, Ports, NetworkSettings, Image } = container;
  const health = /\(([^)]*)\)/.exec(Status ?? '')?.[1] ?? '';
  const ports = (Ports ?? []).map((port) => JSON.stringify(port)).sort();
  return hash('sha1', JSON.stringify([[...(Names ?? [])].sort(), State, health, ports, NetworkSettings, Image]));
}

/** Exported for tests. */
export async function* parseEvents(stream: Readable): AsyncGenerator<ContainerEvent> {
  // Joined once a line: an event has all labels of its container in it.
  let begun: string[] = [];
  let length = 0;
  const decoder = new StringDecoder('utf8');
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const [end = '', ...others] = decoder.write(chunk).split('\n');
    const room = MAX_LINE - length;
    if (room > 0) begun.push(end.slice(0, room));
    length += end.length;
    const last = others.pop();
    if (last === undefined) continue;
    for (const line of [begun.join(''), ...others]) {
      const event = parseEvent(line);
      if (event !== undefined) yield event;
    }
    begun = [last];
    length = last.length;
  }
}

/** Characters of one event; no real one comes near. Of a container with longer labels the next listing tells. */
const MAX_LINE = 1_000_000;

/** Exec events come with every health check of every container, and change nothing; oom announces a die. */
const IRRELEVANT = /^(exec_|attach|detach|top|resize|archive-path|copy|export|commit|create$|oom$)/;

/** Before each event, where a proxy asks for `application/json-seq` (RFC 7464), which Docker 29 speaks. */
const RECORD_SEPARATOR = '\x1e';

/** @returns undefined for what is no event on a container, or no event at all; exported for tests */
export function parseEvent(line: string): ContainerEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(line.startsWith(RECORD_SEPARATOR) ? line.slice(1) : line);
  } catch {
    return undefined;
  }
  if (typeof event !== 'object' || event === null) return undefined;
  const { Type, Action, Actor, timeNano } = event as Record<string, unknown>;
  const { ID, Attributes } = (Actor ?? {}) as { ID?: unknown; Attributes?: Record<string, unknown> | null };
  const containerId = Type === 'network' ? Attributes?.container : Type === 'container' ? ID : undefined;
  if (typeof containerId !== 'string' || typeof Action !== 'string' || IRRELEVANT.test(Action)) return undefined;
  const signal = Action === 'kill' && Type === 'container' ? Attributes?.signal : undefined;
  return { containerId, action: Action, time: eventTime(timeNano), ...(typeof signal === 'string' && { signal }) };
}

/** JSON numbers lose the last digits of nanoseconds: rounded down, so that an event comes twice rather than never. */
function eventTime(timeNano: unknown): string {
  const nanoseconds = typeof timeNano === 'number' && Number.isFinite(timeNano) ? Math.max(0, timeNano - 1_000) : 0;
  const seconds = Math.floor(nanoseconds / 1e9);
  return `${seconds}.${String(Math.floor(nanoseconds % 1e9)).padStart(9, '0')}`;
}
