import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerSnapshot, PortBinding } from '../../src/docker/index.ts';
import {
  type Container,
  type ContainerSpec,
  digest,
  type Endpoint,
  type HealthStatus,
  inspection,
  isUp,
  type ListEntry,
  listEntry,
  ownNetwork,
  statusText,
} from './simulated-container.ts';
import { EventBus, type EventFaults, eventFilter, parseSince } from './simulated-events.ts';

export interface SimulatedDockerOptions {
  /** Its socket's path, or `tcp` for a free port of 127.0.0.1; a path in a folder of its own. */
  readonly listen?: string;
  /** The host's name in `/info`; `simulated`. */
  readonly hostname?: string;
  /** What its probabilities start from; 1. */
  readonly seed?: number;
}

/** How one inspection goes wrong. */
export type InspectFault =
  | { readonly kind: 'error'; readonly status?: number }
  | { readonly kind: 'hang' }
  /** With status 200. */
  | { readonly kind: 'answer'; readonly body: string }
  | { readonly kind: 'slow'; readonly delayMs: number };

/**
 * A Docker engine that runs nothing: its API over a real socket, as far as a watcher of containers calls it, in the
 * shapes of dockerd 20.10 (API 1.41; compared with the real one in simulated-docker.test.ts), over containers that are
 * plain objects. Each method does what the docker command of its name does, and emits the events that dockerd emits.
 * Containers are named by ID or name. Same calls and seed, same behaviour.
 */
export class SimulatedDocker implements AsyncDisposable {
  readonly hostname: string;
  /** What happens to events; set anew to change. */
  get eventFaults(): EventFaults {
    return this.#events.faults;
  }
  set eventFaults(faults: EventFaults) {
    this.#events.faults = faults;
  }
  /** How inspections fail, asked with the container's ID. */
  inspectFault: (id: string) => InspectFault | undefined = () => undefined;
  /** The versions of the API that it speaks, from and to; it says so, and refuses others, as dockerd does. */
  apiVersions = { least: '1.12', newest: '1.41' };
  /** The versions in the paths that were asked for; empty for none. */
  readonly versionsAsked = new Set<string>();
  /** Milliseconds that this engine's clock is ahead. */
  clockOffset = 0;
  /** Calls so far, by route: `GET /containers/{id}/json`; as they came where the API has no such call here. */
  readonly requests = new Map<string, number>();
  /** Inspections so far, by container ID. */
  readonly inspections = new Map<string, number>();
  readonly #dir: string | undefined;
  readonly #listen: string | number;
  readonly #engineId: string;
  readonly #events: EventBus;
  readonly #containers = new Map<string, Container>();
  readonly #names = new Map<string, Container>();
  readonly #images = new Map<string, readonly string[]>();
  /** Network IDs by name. */
  readonly #networks = new Map<string, string>();
  readonly #inspected = new Map<string, Buffer>();
  readonly #listed = new Map<string, [ListEntry, ListEntry]>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #lists = 0;
  #created = 0;
  #lastAddress = 1;
  #lastPort = 32_767;
  #lastTime = 0n;
  #stalled: PromiseWithResolvers<void> | undefined;

  constructor({ listen, hostname = 'simulated', seed = 1 }: SimulatedDockerOptions = {}) {
    this.hostname = hostname;
    this.#dir = listen === undefined ? mkdtempSync(join(tmpdir(), 'registrator-simulated-')) : undefined;
    this.#listen = listen === 'tcp' ? 0 : (listen ?? join(this.#dir ?? '', 'docker.sock'));
    this.#engineId = digest(`engine ${hostname}`).slice(0, 48).toUpperCase().match(/.{4}/g)?.join(':') ?? '';
    this.#events = new EventBus(random(seed));
    for (const name of ['bridge', 'host', 'none']) this.#networks.set(name, digest(`network ${name}`));
  }

  /** The `DOCKER_HOST` that leads here. */
  get host(): string {
    return typeof this.#listen === 'string' ? `unix://${this.#listen}` : `tcp://127.0.0.1:${this.#port}`;
  }
  /** The path of its socket; empty with TCP. */
  get socket(): string {
    return typeof this.#listen === 'string' ? this.#listen : '';
  }
  get containers(): readonly string[] {
    return [...this.#containers.keys()];
  }
  /** Event streams that are open. */
  get streams(): number {
    return this.#events.streams;
  }

  // --- the engine itself

  /** Listens, on the same path or port as before where it was `down`. */
  async up(): Promise<this> {
    const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((listening, failed) => {
      server.once('error', failed);
      if (typeof this.#listen === 'string') {
        rmSync(this.#listen, { force: true });
        server.listen(this.#listen, listening);
      } else {
        server.listen(this.#port, '127.0.0.1', listening);
      }
    });
    if (typeof this.#listen === 'number') this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    return this;
  }

  /** Refuses connections and breaks those that are open; the socket's path is gone. Containers stay as they are. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    if (typeof this.#listen === 'string') rmSync(this.#listen, { force: true });
  }

  /** As an engine that starts anew: `since` finds no event from before. */
  forgetEvents(): void {
    this.#events.forget();
  }

  /** Takes connections and requests, and neither answers nor sends anything, until `resume`. */
  stall(): void {
    this.#stalled ??= Promise.withResolvers();
    this.#events.stall();
  }
  resume(): void {
    this.#stalled?.resolve();
    this.#stalled = undefined;
    this.#events.resume();
  }

  /** Breaks every event stream; with `gracefully` ends it as an engine does that stops. */
  cutStreams(gracefully = false): void {
    this.#events.cut(gracefully);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#events.close();
    await this.down();
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }

  // --- what docker commands do

  /** @returns the image's ID */
  addImage(tags: readonly string[]): string {
    const id = `sha256:${digest(`image ${tags.join(' ')} ${this.#images.size}`)}`;
    this.#images.set(id, tags);
    return id;
  }

  /** @returns the container's ID */
  create(spec: ContainerSpec = {}): string {
    const number = ++this.#created;
    const id = digest(`container ${this.hostname} ${number}`);
    const name = spec.name ?? `container-${number}`;
    if (this.#names.has(name)) throw new Error(`Conflict. The container name "/${name}" is already in use.`);
    const image = spec.image ?? 'web:latest';
    const imageId = this.#images.has(image) ? image : (this.#imageByTag(image) ?? this.addImage([image]));
    const container: Container = {
      ...{ id, spec, name, image, imageId, created: this.#now(), status: 'created', exitCode: 0 },
      ...{ startedAt: 0n, finishedAt: 0n, health: undefined, ports: {}, networks: new Map() },
    };
    const network = ownNetwork(spec);
    if (network !== undefined) container.networks.set(network, { networkId: '', address: '', gateway: '' });
    this.#containers.set(id, container);
    this.#names.set(name, container);
    this.#emit(container, 'create');
    return id;
  }

  start(ref: string): void {
    const container = this.#find(ref);
    if (isUp(container)) return;
    for (const name of container.networks.keys()) this.#join(container, name);
    container.status = 'running';
    container.exitCode = 0;
    container.startedAt = this.#now();
    container.ports = this.#publish(container.spec);
    if (container.spec.healthcheck) container.health = 'starting';
    this.#emit(container, 'start');
  }

  /** @returns the container's ID */
  run(spec: ContainerSpec = {}): string {
    const id = this.create(spec);
    this.start(id);
    return id;
  }

  stop(ref: string, exitCode = 0): void {
    const container = this.#find(ref);
    if (!isUp(container)) return;
    this.#emit(container, 'kill', { signal: '15' });
    this.#end(container, 'exited', exitCode);
    this.#emit(container, 'stop');
  }

  kill(ref: string): void {
    const container = this.#find(ref);
    if (!isUp(container)) return;
    this.#emit(container, 'kill', { signal: '9' });
    this.#end(container, 'exited', 137);
  }

  /** Its process ends by itself. */
  die(ref: string, exitCode = 1): void {
    const container = this.#find(ref);
    if (isUp(container)) this.#end(container, 'exited', exitCode);
  }

  /** Its process ends, and a restart policy waits before it starts it again, which is `start`. */
  crash(ref: string, exitCode = 1): void {
    const container = this.#find(ref);
    if (isUp(container)) this.#end(container, 'restarting', exitCode);
  }

  restart(ref: string): void {
    this.stop(ref);
    this.start(ref);
    this.#emit(this.#find(ref), 'restart');
  }

  pause(ref: string): void {
    const container = this.#find(ref);
    if (container.status !== 'running') return;
    container.status = 'paused';
    this.#emit(container, 'pause');
  }

  unpause(ref: string): void {
    const container = this.#find(ref);
    if (container.status !== 'paused') return;
    container.status = 'running';
    this.#emit(container, 'unpause');
  }

  rename(ref: string, name: string): void {
    const container = this.#find(ref);
    if (this.#names.has(name)) throw new Error(`Conflict. The container name "/${name}" is already in use.`);
    const oldName = `/${container.name}`;
    this.#names.delete(container.name);
    this.#names.set(name, container);
    container.name = name;
    this.#emit(container, 'rename', { oldName });
  }

  /** With force: kills it where it runs. */
  remove(ref: string): void {
    this.kill(ref);
    const container = this.#find(ref);
    this.#containers.delete(container.id);
    this.#names.delete(container.name);
    this.#emit(container, 'destroy');
    this.#inspected.delete(container.id);
    this.#listed.delete(container.id);
    this.inspections.delete(container.id);
  }

  health(ref: string, status: HealthStatus): void {
    const container = this.#find(ref);
    if (!isUp(container) || container.health === status) return;
    container.health = status;
    this.#emit(container, `health_status: ${status}`);
  }

  /** What each health check says besides: three events that change nothing. */
  exec(ref: string, command = '/bin/sh -c test -e /tmp/well'): void {
    const container = this.#find(ref);
    const execID = digest(`exec ${this.#lastTime}`);
    this.#emit(container, `exec_create: ${command}`, { execID });
    this.#emit(container, `exec_start: ${command}`, { execID });
    this.#emit(container, 'exec_die', { execID, exitCode: '0' });
  }

  /** The network is made where there is none of the name. */
  connectNetwork(ref: string, network: string): void {
    const container = this.#find(ref);
    if (container.networks.has(network)) return;
    container.networks.set(network, { networkId: '', address: '', gateway: '' });
    if (isUp(container)) this.#join(container, network);
    else this.#changed(container);
  }

  disconnectNetwork(ref: string, network: string): void {
    const container = this.#find(ref);
    if (!container.networks.delete(network)) return;
    if (isUp(container)) this.#emitNetwork(container, network, 'disconnect');
    else this.#changed(container);
  }

  /** Runs so many containers, each with so many published ports from 8000 on, and makes their answers ready. */
  fill(
    containers: number,
    { ports = 2, healthcheck = false }: { readonly ports?: number; readonly healthcheck?: boolean } = {},
  ): readonly string[] {
    const publish = Object.fromEntries(Array.from({ length: ports }, (_, port) => [`${8_000 + port}/tcp`, 0]));
    const ids = Array.from({ length: containers }, (_, n) =>
      this.run({ name: `app-${this.#created + 1}`, image: `team/app-${n % 100}:1.0`, publish, healthcheck }),
    );
    for (const id of ids) this.#inspection(this.#find(id));
    return ids;
  }

  /** What an inspection answers now. */
  inspect(ref: string): ContainerSnapshot {
    return inspection(this.#find(ref)) as ContainerSnapshot;
  }

  // --- state

  #find(ref: string): Container {
    const container = this.#containers.get(ref) ?? this.#names.get(ref);
    if (container === undefined) throw new Error(`No such container: ${ref}`);
    return container;
  }

  #imageByTag(tag: string): string | undefined {
    for (const [id, tags] of this.#images) if (tags.includes(tag)) return id;
    return undefined;
  }

  #end(container: Container, status: 'exited' | 'restarting', exitCode: number): void {
    container.status = status;
    container.exitCode = exitCode;
    container.finishedAt = this.#now();
    container.ports = {};
    this.#emit(container, 'die', { exitCode: String(exitCode) });
    for (const [name, { networkId }] of container.networks) {
      container.networks.set(name, { networkId, address: '', gateway: '' });
      this.#emitNetwork(container, name, 'disconnect');
    }
  }

  #join(container: Container, name: string): void {
    container.networks.set(name, this.#endpoint(name));
    this.#emitNetwork(container, name, 'connect');
  }

  #endpoint(name: string): Endpoint {
    const networkId = this.#networks.get(name) ?? digest(`network ${name}`);
    this.#networks.set(name, networkId);
    if (name === 'host' || name === 'none') return { networkId, address: '', gateway: '' };
    const subnet = `172.${17 + ([...this.#networks.keys()].indexOf(name) % 14)}`;
    this.#lastAddress = (this.#lastAddress % 65_000) + 1;
    const address = `${subnet}.${this.#lastAddress >> 8}.${this.#lastAddress & 255}`;
    return { networkId, address, gateway: `${subnet}.0.1` };
  }

  #publish({ publish = {} }: ContainerSpec): Record<string, readonly PortBinding[]> {
    return Object.fromEntries(
      Object.entries(publish).map(([port, host]) => {
        if (typeof host !== 'number') return [port, host.map((binding) => this.#bound(binding))];
        const HostPort = String(host === 0 ? this.#freePort() : host);
        const everywhere = ['0.0.0.0', '::'].map((HostIp) => ({ HostIp, HostPort }));
        return [port, everywhere];
      }),
    );
  }

  #bound({ HostIp, HostPort }: PortBinding): PortBinding {
    return { HostIp: HostIp || '0.0.0.0', HostPort: HostPort === '' ? String(this.#freePort()) : HostPort };
  }

  #freePort(): number {
    this.#lastPort = this.#lastPort === 60_999 ? 32_768 : this.#lastPort + 1;
    return this.#lastPort;
  }

  /** Of this engine's clock, and never the same twice unless the clock was set back. */
  #now(): bigint {
    const now = BigInt(Date.now() + this.clockOffset) * 1_000_000n;
    const tooLate = this.#lastTime - now;
    this.#lastTime = tooLate >= 0n && tooLate < 1_000_000_000n ? this.#lastTime + 1n : now;
    return this.#lastTime;
  }

  #emit(container: Container, action: string, more: Record<string, string> = {}): void {
    this.#changed(container);
    const { id, name, image, spec } = container;
    const attributes = { ...spec.labels, ...more, image, name };
    this.#events.emit({ type: 'container', action, id, attributes, time: this.#now() });
  }

  #emitNetwork(container: Container, name: string, action: 'connect' | 'disconnect'): void {
    this.#changed(container);
    const id = this.#networks.get(name) ?? '';
    const type = name === 'host' || name === 'none' ? name : 'bridge';
    const attributes = { container: container.id, name, type };
    this.#events.emit({ type: 'network', action, id, attributes, time: this.#now() });
  }

  #changed({ id }: Container): void {
    this.#inspected.delete(id);
    this.#listed.delete(id);
  }

  // --- the API

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '/' } = request;
    const { pathname, searchParams } = new URL(url, 'http://docker');
    const [prefix = '', version = ''] = /^\/v(1\.\d+)(?=\/)/.exec(pathname) ?? [];
    const path = pathname.slice(prefix.length);
    const [, kind, name = ''] = /^\/(containers|images)\/(.+)\/json$/.exec(path) ?? [];
    const route = kind === undefined ? `${method} ${path}` : `${method} /${kind}/{id}/json`;
    this.requests.set(route, (this.requests.get(route) ?? 0) + 1);
    this.versionsAsked.add(version);
    await this.#stalled?.promise;
    const { least, newest } = this.apiVersions;
    response.setHeader('Api-Version', newest);
    const minor = (of: string) => Number(of.split('.')[1]);
    if (version !== '' && minor(version) < minor(least))
      return fail(response, 400, `client version ${version} is too old. Minimum supported API version is ${least}`);
    if (version !== '' && minor(version) > minor(newest))
      return fail(response, 400, `client version ${version} is too new. Maximum supported API version is ${newest}`);
    switch (route) {
      case 'GET /_ping':
      case 'HEAD /_ping':
        return send(response, 200, method === 'HEAD' ? '' : 'OK', 'text/plain; charset=utf-8');
      case 'GET /info':
        return send(response, 200, JSON.stringify(this.#info()));
      case 'GET /version':
        return send(response, 200, JSON.stringify({ ...VERSION, ApiVersion: newest, MinAPIVersion: least }));
      case 'GET /containers/json':
        return send(response, 200, this.#list(/^(1|true)$/i.test(searchParams.get('all') ?? '')));
      case 'GET /containers/{id}/json':
        return this.#answerInspection(decodeURIComponent(name), response);
      case 'GET /images/{id}/json':
        return this.#answerImage(decodeURIComponent(name), response);
      case 'GET /events':
        return this.#answerEvents(searchParams, response);
      default:
        return fail(response, 404, 'page not found');
    }
  }

  async #answerInspection(ref: string, response: ServerResponse): Promise<void> {
    const container = this.#containers.get(ref) ?? this.#names.get(ref) ?? this.#byPrefix(ref);
    const id = container?.id ?? ref;
    this.inspections.set(id, (this.inspections.get(id) ?? 0) + 1);
    const fault = this.inspectFault(id);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'error') return fail(response, fault.status ?? 500, 'the simulated engine fails here');
    if (fault?.kind === 'slow') await delay(fault.delayMs);
    if (fault?.kind === 'answer') return send(response, 200, Buffer.from(fault.body));
    if (container === undefined || !this.#containers.has(container.id)) {
      return fail(response, 404, `No such container: ${ref}`);
    }
    send(response, 200, this.#inspection(container));
  }

  #byPrefix(ref: string): Container | undefined {
    if (!/^[0-9a-f]{4,}$/.test(ref)) return undefined;
    for (const [id, container] of this.#containers) if (id.startsWith(ref)) return container;
    return undefined;
  }

  #inspection(container: Container): Buffer {
    const ready = this.#inspected.get(container.id);
    if (ready !== undefined) return ready;
    const made = Buffer.from(`${JSON.stringify(inspection(container))}\n`);
    this.#inspected.set(container.id, made);
    return made;
  }

  /** The newest first, as Docker lists. */
  #list(all: boolean): Buffer {
    const now = this.#now();
    const variant = this.#lists++ % 2;
    const entries: string[] = [];
    for (const container of this.#containers.values()) {
      if (!all && !isUp(container) && container.status !== 'restarting') continue;
      const { before, after } = this.#listing(container)[variant] ?? { before: '', after: '' };
      entries.push(before + statusText(container, now) + after);
    }
    return Buffer.from(`[${entries.reverse().join(',')}]\n`);
  }

  #listing(container: Container): [ListEntry, ListEntry] {
    const ready = this.#listed.get(container.id);
    if (ready !== undefined) return ready;
    const made: [ListEntry, ListEntry] = [listEntry(container, false), listEntry(container, true)];
    this.#listed.set(container.id, made);
    return made;
  }

  #answerImage(ref: string, response: ServerResponse): void {
    const id = this.#images.has(ref) ? ref : this.#imageByTag(ref.includes(':') ? ref : `${ref}:latest`);
    if (id === undefined) fail(response, 404, `No such image: ${ref}`);
    else send(response, 200, JSON.stringify({ Id: id, RepoTags: this.#images.get(id), RepoDigests: [], Os: 'linux' }));
  }

  #answerEvents(query: URLSearchParams, response: ServerResponse): void {
    try {
      const wants = eventFilter(query.get('filters'));
      const since = parseSince(query.get('since'));
      response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' });
      response.flushHeaders();
      this.#events.subscribe(response, since, wants);
    } catch (error) {
      fail(response, 400, (error as Error).message);
    }
  }

  #info(): Record<string, unknown> {
    const states = [...this.#containers.values()].map(({ status }) => status);
    const count = (status: string) => states.filter((state) => state === status).length;
    return {
      ID: this.#engineId,
      Containers: states.length,
      ContainersRunning: count('running'),
      ContainersPaused: count('paused'),
      ContainersStopped: count('exited') + count('created'),
      Images: this.#images.size,
      Driver: 'overlay2',
      NEventsListener: this.streams,
      OSType: 'linux',
      OperatingSystem: 'simulated',
      Architecture: 'x86_64',
      NCPU: 2,
      Name: this.hostname,
      Labels: [],
      ServerVersion: VERSION.Version,
      LiveRestoreEnabled: false,
    };
  }
}

const VERSION = {
  Platform: { Name: '' },
  Version: '20.10.24',
  ApiVersion: '1.41',
  MinAPIVersion: '1.12',
  Os: 'linux',
  Arch: 'amd64',
};

const HEADERS = {
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: 'Docker/20.10.24 (linux)',
};

function send(response: ServerResponse, status: number, body: string | Buffer, type = 'application/json'): void {
  // Go's server sends in chunks what does not fit in its first buffer.
  const length = Buffer.byteLength(body);
  response.writeHead(status, {
    ...HEADERS,
    'Content-Type': type,
    ...(length > 2_048 ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': length }),
  });
  response.end(body);
}

function fail(response: ServerResponse, status: number, message: string): void {
  send(response, status, `${JSON.stringify({ message })}\n`);
}

/** The mulberry32 generator: from 0 to below 1, the same for the same seed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
