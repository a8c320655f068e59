import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

/** The minor versions of its API. */
const [LEAST, NEWEST] = [44, 52];

/** How the events' stream is written; Docker 29 asks the client's `Accept`, and falls back on the first. */
export type EventsMediaType =
  | 'application/json'
  | 'application/x-ndjson'
  | 'application/jsonl'
  | 'application/json-seq';

type Fields = Record<string, unknown>;

/**
 * Stands before an engine and answers as Docker 29 does, after moby's api/docs/CHANGELOG.md for 1.52: refuses clients of
 * API versions below 1.44, and leaves out what that version removed of events and inspections.
 */
export class Docker29 implements AsyncDisposable {
  readonly #engine: string;
  readonly #socket: string;
  readonly #server: Server;
  /** Of the API, as they were asked for; empty for a path without one. */
  readonly versionsAsked = new Set<string>();
  /** What the events' stream is written as whatever the client accepts, as a proxy may have it. */
  eventsMediaType: EventsMediaType | undefined;

  /** @param engine the engine's socket; @param socket where to listen */
  constructor(engine: string, socket: string) {
    this.#engine = engine;
    this.#socket = socket;
    this.#server = createServer((incoming, response) => {
      // Where the engine is gone, so is its socket.
      this.#answer(incoming, response).catch(() => response.destroy());
    });
  }

  /** The `DOCKER_HOST` of its socket. */
  get host(): string {
    return `unix://${this.#socket}`;
  }

  /** Listens, also when the engine is started again. */
  async start(): Promise<this> {
    if (this.#server.listening) return this;
    await new Promise<void>((listening) => this.#server.listen(this.#socket, listening));
    return this;
  }

  async dispose(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '/', headers } = incoming;
    const [prefix = '', version = ''] = /^\/v(1\.\d+)(?=\/)/.exec(url) ?? [];
    this.versionsAsked.add(version);
    response.setHeader('Api-Version', `1.${NEWEST}`);
    response.setHeader('Server', 'Docker/29.0.0 (linux)');
    const refusal = version === '' ? undefined : refuse(version);
    if (refusal !== undefined) return send(response, 400, { message: refusal });
    const path = url.slice(prefix.length);
    // Without a version the engine answers as its newest does, which is enough for what is looked at here.
    const answer = await this.#ask(incoming, path, response);
    const { pathname } = new URL(path, 'http://docker');
    const { statusCode = 500 } = answer;
    if (pathname === '/events' && statusCode === 200) {
      return passEvents(answer, response, this.eventsMediaType ?? accepted(headers.accept));
    }
    const rewrite = rewriteOf(pathname);
    if (rewrite !== undefined && statusCode === 200) return send(response, 200, rewrite((await json(answer)) as never));
    response.writeHead(statusCode, { 'Content-Type': answer.headers['content-type'] ?? 'text/plain' });
    await pipeline(answer, response);
  }

  #ask(incoming: IncomingMessage, path: string, response: ServerResponse): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method, headers } = incoming;
      const asked = request({ socketPath: this.#engine, method, path, headers, agent: false }, resolve);
      asked.once('error', reject);
      response.once('close', () => asked.destroy());
      incoming.pipe(asked);
    });
  }
}

/** In Docker's words. */
function refuse(version: string): string | undefined {
  const minor = Number(version.slice(2));
  if (minor < LEAST) {
    return `client version ${version} is too old. Minimum supported API version is 1.${LEAST}, please upgrade your client to a newer version`;
  }
  if (minor > NEWEST) return `client version ${version} is too new. Maximum supported API version is 1.${NEWEST}`;
  return undefined;
}

function accepted(accept = ''): EventsMediaType {
  const offers = ['application/x-ndjson', 'application/json-seq'] as const;
  return offers.find((offer) => accept.includes(offer)) ?? 'application/json';
}

/** What becomes of an answer's content on this path; undefined where it stays as it is. */
function rewriteOf(pathname: string): ((answer: never) => unknown) | undefined {
  if (pathname === '/version') return rewriteVersion;
  if (pathname === '/info') return (info: Fields) => ({ ...info, ServerVersion: '29.0.0' });
  if (pathname === '/containers/json') return (list: readonly Fields[]) => list.map(withHealth);
  if (/^\/containers\/[^/]+\/json$/.test(pathname)) return rewriteInspection;
  return undefined;
}

const rewriteVersion = (version: Fields) => ({
  ...version,
  Version: '29.0.0',
  ApiVersion: `1.${NEWEST}`,
  MinAPIVersion: `1.${LEAST}`,
});

/** Lists tell of health in a field of its own, beside the words of `Status`. */
function withHealth(container: Fields): Fields {
  const [, status = 'none'] = /\((?:health: )?(starting|healthy|unhealthy)\)/.exec(String(container.Status)) ?? [];
  return { ...container, Health: { Status: status, FailingStreak: 0 } };
}

/** The default bridge's, which stand under `Networks` as well. */
const REMOVED_SETTINGS = [
  'Bridge',
  'HairpinMode',
  'LinkLocalIPv6Address',
  'LinkLocalIPv6PrefixLen',
  'SecondaryIPAddresses',
  'SecondaryIPv6Addresses',
  'EndpointID',
  'Gateway',
  'GlobalIPv6Address',
  'GlobalIPv6PrefixLen',
  'IPAddress',
  'IPPrefixLen',
  'IPv6Gateway',
  'MacAddress',
];

function rewriteInspection({ NetworkSettings, ...rest }: Fields & { NetworkSettings: Fields }): Fields {
  const settings = Object.entries(NetworkSettings).filter(([name]) => !REMOVED_SETTINGS.includes(name));
  return { ...rest, NetworkSettings: Object.fromEntries(settings) };
}

function passEvents(answer: IncomingMessage, response: ServerResponse, mediaType: EventsMediaType): void {
  response.writeHead(200, { 'Content-Type': mediaType });
  response.flushHeaders();
  // RFC 7464: a record separator before each text.
  const separator = mediaType === 'application/json-seq' ? '\x1e' : '';
  const lines = createInterface({ input: answer });
  lines.on('line', (line) => {
    const { status, id, from, ...event } = JSON.parse(line) as Fields;
    response.write(`${separator}${JSON.stringify(event)}\n`);
  });
  lines.once('error', () => response.destroy());
  lines.once('close', () => response.end());
}

function send(response: ServerResponse, status: number, content: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(content)}\n`);
}
