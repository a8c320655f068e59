import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedPut {
  /** With its query, as sent. */
  readonly path: string;
  /** The JSON that came, or the text where it is none; undefined where the body was empty. */
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Milliseconds, `performance.now()`. */
  readonly at: number;
}

/** As much of a Consul agent as a registrator calls: it keeps what is registered, and records each PUT in order. */
export class RecordingConsul implements AsyncDisposable {
  readonly puts: RecordedPut[] = [];
  /** Every request, `METHOD path`, in order. */
  readonly requests: string[] = [];
  /** Called before each answer; what it returns is answered instead, e.g. `{ status: 500, body: 'disk full' }`. */
  intercept:
    | ((method: string, path: string, body: unknown) => { status: number; body?: string } | undefined)
    | undefined;
  readonly #services = new Map<string, Record<string, unknown>>();
  readonly #checks = new Map<string, Record<string, unknown>>();
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy());
  });

  async start(): Promise<this> {
    this.#server.keepAliveTimeout = 60_000;
    await new Promise<void>((listening) => this.#server.listen(0, '127.0.0.1', listening));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }
  /** What is registered now, by ID, as it was sent. */
  get services(): ReadonlyMap<string, Record<string, unknown>> {
    return this.#services;
  }
  /** The bodies of the register calls so far, in order. */
  get registrations(): Record<string, unknown>[] {
    return this.puts
      .filter(({ path }) => path.startsWith('/v1/agent/service/register'))
      .map(({ body }) => body as Record<string, unknown>);
  }

  /** As after a restart without its data. */
  forget(): void {
    for (const kept of [this.#services, this.#checks]) kept.clear();
    for (const recorded of [this.puts, this.requests]) recorded.length = 0;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    await new Promise((closed) => {
      this.#server.close(closed);
      this.#server.closeAllConnections();
    });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = performance.now();
    const { method = '', url = '/' } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = parse(Buffer.concat(chunks).toString());
    this.requests.push(`${method} ${url}`);
    if (method === 'PUT') this.puts.push({ path: url, body, headers: request.headers, at });
    const { status, body: text = '' } = this.intercept?.(method, url, body) ?? this.#agent(method, url, body);
    response.writeHead(status, { 'Content-Type': text.startsWith('{') ? 'application/json' : 'text/plain' });
    response.end(text);
  }

  #agent(method: string, url: string, body: unknown): { status: number; body?: string } {
    const path = url.split('?')[0] ?? url;
    const json = (value: unknown) => ({ status: 200, body: JSON.stringify(value) });
    if (method === 'PUT') {
      const id = decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
      if (path === '/v1/agent/service/register') this.#register(body as Record<string, unknown>);
      if (path.startsWith('/v1/agent/service/deregister/')) this.#deregister(id);
      if (path.startsWith('/v1/agent/service/maintenance/')) this.#maintain(id, new URL(url, 'http://x').searchParams);
      if (path.startsWith('/v1/agent/check/update/')) {
        const check = this.#checks.get(id);
        if (check === undefined) return { status: 500, body: `CheckID "${id}" does not have associated TTL` };
        Object.assign(check, body);
      }
      return { status: 200 };
    }
    const [, asked] = /^\/v1\/agent\/service\/([^/]+)$/.exec(path) ?? [];
    const found = asked === undefined ? undefined : this.#services.get(decodeURIComponent(asked));
    if (asked !== undefined && found !== undefined) return json(asListed(decodeURIComponent(asked), found));
    switch (path) {
      case '/v1/status/leader':
        return json('127.0.0.1:8300');
      case '/v1/agent/self':
        return json({ Config: { Datacenter: 'dc1', NodeName: 'recorder', Version: '1.8.7' }, Member: {} });
      case '/v1/agent/services':
        return json(Object.fromEntries([...this.#services].map(([id, service]) => [id, asListed(id, service)])));
      case '/v1/agent/checks':
        return json(Object.fromEntries(this.#checks));
      default:
        return { status: 404, body: 'the recorder does not know this path' };
    }
  }

  #register(service: Record<string, unknown>): void {
    const { ID: id = service.Name, Name: name, Check: check } = service;
    this.#deregister(String(id));
    this.#services.set(String(id), service);
    if (check === undefined || check === null) return;
    const checkId = `service:${id}`;
    const { Status = 'critical', Name = `Service '${name}' check` } = check as { Status?: string; Name?: string };
    this.#checks.set(checkId, {
      CheckID: checkId,
      Name,
      ServiceID: id,
      ServiceName: name,
      Status: Status || 'critical',
      Notes: '',
    });
  }

  #maintain(id: string, asked: URLSearchParams): void {
    const checkId = `_service_maintenance:${id}`;
    if (asked.get('enable') === 'true')
      this.#checks.set(checkId, {
        CheckID: checkId,
        Name: 'Service Maintenance Mode',
        Notes: asked.get('reason') ?? '',
        ServiceID: id,
        Status: 'critical',
      });
    else this.#checks.delete(checkId);
  }

  #deregister(id: string): void {
    this.#services.delete(id);
    this.#checks.delete(`service:${id}`);
    this.#checks.delete(`_service_maintenance:${id}`);
  }
}

/** As Consul 1.8 lists a service that was registered so. */
function asListed(id: string, service: Record<string, unknown>): Record<string, unknown> {
  const { Name = '', Address = '', Port = 0, Tags, Meta, EnableTagOverride = false } = service;
  return {
    ID: id,
    Service: Name,
    Tags: Tags ?? [],
    Meta: Meta ?? {},
    Port,
    Address,
    Weights: service.Weights ?? { Passing: 1, Warning: 1 },
    EnableTagOverride,
    Datacenter: 'dc1',
  };
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
