import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { HttpClient, HttpStatusError } from '../lib/http/index.ts';
import type { DockerConnection } from './connection.ts';
import { containerName } from './container-name.ts';
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

/** Milliseconds for one call. Listing thousands of containers takes Docker seconds. */
const CALL_TIMEOUT = 15_000;
const LIST_TIMEOUT = 60_000;

/** A container's ID or name, or an image's ID: what else Docker may say would change the path that is asked for. */
const REFERENCE = /^[a-zA-Z0-9][a-zA-Z0-9_.:-]*$/;

/** The fields that are read of Docker's `GET /containers/json`. */
interface ListedContainer {
  readonly Id: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string;
  readonly State?: string;
  readonly Status?: string;
  readonly Ports?: readonly unknown[] | null;
  readonly NetworkSettings?: unknown;
}

/** One Docker engine: the few read-only calls that registrator makes. Works with Engine API 1.24 and later, and Podman's. */
export class DockerHost {
  readonly name: string;
  readonly #http: HttpClient;

  constructor({ target, name }: DockerConnection) {
    this.name = name;
    this.#http = new HttpClient(target);
  }

  async info(signal: AbortSignal): Promise<EngineInfo> {
    const info = await this.#get<{ Name?: string; ID?: string; ServerVersion?: string }>('/info', signal);
    if (typeof info !== 'object' || info === null || Array.isArray(info)) throw new Error(NOT_DOCKER);
    return { hostname: info.Name ?? '', id: info.ID ?? '', version: info.ServerVersion ?? '' };
  }

  /** @param all with those that do not run */
  async list(all: boolean, signal: AbortSignal): Promise<Listed[]> {
    const path = all ? '/containers/json?all=1' : '/containers/json';
    const containers = await this.#get<ListedContainer[]>(path, signal, LIST_TIMEOUT);
    if (!Array.isArray(containers) || containers.some((one) => typeof one?.Id !== 'string'))
      throw new Error(NOT_DOCKER);
    return containers.map((container) => ({
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
    const snapshot = await this.#get<ContainerSnapshot>(`/containers/${containerId}/json`, signal).catch(unlessMissing);
    if (snapshot !== undefined && typeof snapshot?.Id !== 'string') throw new Error(NOT_DOCKER);
    return snapshot;
  }

  /** The names of an image, `redis:latest`; none when it has none, or is gone. */
  async imageTags(imageId: string, signal: AbortSignal): Promise<readonly string[]> {
    if (!REFERENCE.test(imageId)) return [];
    const image = await this.#get<{ RepoTags?: string[] | null }>(`/images/${imageId}/json`, signal).catch(
      unlessMissing,
    );
    return image?.RepoTags ?? [];
  }

  /**
   * A Swarm service, as Docker gives it; undefined when there is no such one.
   *
   * @returns `no manager` where this node is none: only managers know services
   */
  async swarmService(id: string, signal: AbortSignal): Promise<unknown> {
    if (!REFERENCE.test(id)) return undefined;
    return this.#get(`/services/${id}`, signal).catch((error: unknown) => {
      // 503 is Docker's answer of a node that is no manager, 406 that of one in no swarm (API before 1.25).
      const { status } = error as { status?: number };
      if (status === 503 || status === 406) return 'no manager';
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
    this.#http.renewConnections();
    const filters = JSON.stringify({ type: ['container', 'network'] });
    const params = { filters, ...(since === undefined ? {} : { since }) };
    const sent = this.#http.stream('/events', { params, signal, timeoutMs: CALL_TIMEOUT });
    return parseEvents(await sent.catch(throwPlain));
  }

  close(): void {
    this.#http.close();
  }

  #get<T>(path: string, signal: AbortSignal, timeoutMs = CALL_TIMEOUT): Promise<T> {
    return this.#http.request<T>('GET', path, { signal, timeoutMs }).catch(throwPlain);
  }
}

/** A proxy's page, say: it must not be taken for news that a container has changed. */
const NOT_DOCKER = "this is no answer of Docker's";

/** Docker's own words, where it gave some. */
function throwPlain(error: unknown): never {
  if (!(error instanceof HttpStatusError)) throw error;
  const { status, data } = error;
  const { message } = (data ?? {}) as { message?: unknown };
  throw Object.assign(new Error(typeof message === 'string' ? message : `HTTP ${status}`), { status });
}

function unlessMissing(error: unknown): undefined {
  if ((error as { status?: number }).status === 404) return undefined;
  throw error;
}

/**
 * What may come to be as it was, unlike networks and ports, whose IDs and addresses are new each time: a container's name,
 * state and health. So two listings may agree though the inspection between them saw something else.
 */
export function phaseOf({ Name, State }: ContainerSnapshot): string {
  return phase(Name, State?.Status, State?.Health?.Status);
}

function listedPhase({ Names, State, Status }: ListedContainer): string {
  return phase(Names?.[0], State, /\((?:health: )?([a-z]+)\)/.exec(Status ?? '')?.[1]);
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

async function* parseEvents(stream: Readable): AsyncGenerator<ContainerEvent> {
  let rest = '';
  for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) {
      const event = parseEvent(line);
      if (event !== undefined) yield event;
    }
  }
}

/** Characters of one event; no real one comes near. */
const MAX_LINE = 1_000_000;

/** Exec events come with every health check of every container, and change nothing; oom announces a die. */
const IRRELEVANT = /^(exec_|attach|detach|top|resize|archive-path|copy|export|commit|create$|oom$)/;

/** @returns undefined for what is no event on a container, or no event at all; exported for tests */
export function parseEvent(line: string): ContainerEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(line);
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
