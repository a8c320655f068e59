import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

/** HAProxy, which asks DNS for SRV records of one service twice a second, as docs/deploying.md sets it up. */
export class HaproxyServer extends Server {
  readonly #dnsPort: number;
  readonly #service: string;
  #port = 0;

  constructor(dnsPort: number, service: string) {
    super('haproxy');
    this.#dnsPort = dnsPort;
    this.#service = service;
  }

  get port(): number {
    return this.#port;
  }

  protected async command(): Promise<Command> {
    this.#port = await freePort();
    const file = join(this.dir, 'haproxy.cfg');
    writeFileSync(
      file,
      `defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 10s
  timeout server 10s

resolvers registrator
  nameserver registrator 127.0.0.1:${this.#dnsPort}
  accepted_payload_size 8192
  timeout resolve 500ms
  timeout retry 500ms
  hold valid 500ms

frontend web
  bind 127.0.0.1:${this.#port}
  default_backend ${this.#service}

backend ${this.#service}
  balance roundrobin
  server-template web 10 _${this.#service}._tcp.service.consul resolvers registrator resolve-opts allow-dup-ip
`,
    );
    return { file: 'haproxy', args: ['-db', '-f', file] };
  }

  /** It has a server to send requests to. */
  protected async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.#port}/`)).ok;
  }
}

interface HealthyInstance {
  readonly Node: { readonly Address: string };
  readonly Service: { readonly Address: string; readonly Port: number };
}

/** nginx, and what consul-template does for it: waits for Consul to tell of a change, writes the servers, reloads. */
export class NginxServer extends Server {
  readonly #consul: string;
  readonly #service: string;
  readonly #ended = new AbortController();
  #port = 0;
  #following: Promise<void> | undefined;

  constructor(consulAddress: string, service: string) {
    super('nginx');
    this.#consul = consulAddress;
    this.#service = service;
  }

  get port(): number {
    return this.#port;
  }

  protected async command(): Promise<Command> {
    this.#port = await freePort();
    this.#write([]);
    this.#following ??= this.#follow();
    return { file: 'nginx', args: ['-p', this.dir, '-c', this.#file, '-g', 'daemon off;'] };
  }

  protected async isReady(): Promise<boolean> {
    return (await fetch(`http://127.0.0.1:${this.#port}/`)).ok;
  }

  override async dispose(): Promise<void> {
    this.#ended.abort();
    await this.#following;
    await super.dispose();
  }

  get #file(): string {
    return join(this.dir, 'nginx.conf');
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    for (let index = '0'; !signal.aborted; ) {
      try {
        const url = `http://${this.#consul}/v1/health/service/${this.#service}?passing&wait=60s&index=${index}`;
        const answer = await fetch(url, { signal });
        index = answer.headers.get('x-consul-index') ?? '0';
        this.#write((await answer.json()) as HealthyInstance[]);
        await run('nginx', ['-p', this.dir, '-c', this.#file, '-s', 'reload']);
      } catch {
        // It has not started yet, or this ends.
      }
    }
  }

  #write(instances: readonly HealthyInstance[]): void {
    const servers = instances.map(
      ({ Node, Service }) => `    server ${Service.Address || Node.Address}:${Service.Port} max_fails=0;`,
    );
    // One that takes no connection stands for none: nginx wants a server in every upstream.
    if (servers.length === 0) servers.push('    server 127.0.0.1:1 max_fails=0;');
    writeFileSync(
      this.#file,
      `pid ${join(this.dir, 'pid')};
error_log stderr warn;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path ${join(this.dir, 'body')};
  proxy_temp_path ${join(this.dir, 'proxy')};
  fastcgi_temp_path ${join(this.dir, 'fastcgi')};
  uwsgi_temp_path ${join(this.dir, 'uwsgi')};
  scgi_temp_path ${join(this.dir, 'scgi')};
  upstream ${this.#service} {
${servers.join('\n')}
  }
  server {
    listen 127.0.0.1:${this.#port};
    location / {
      proxy_pass http://${this.#service};
      proxy_next_upstream off;
    }
  }
}
`,
    );
  }
}
