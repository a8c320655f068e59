import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

export interface ConsulOptions {
  /** ACLs on, `deny` by default; `token` is then the master token. */
  readonly acl?: boolean;
  /** Serves HTTPS as well, and asks clients for their certificate there. */
  readonly tls?: Certificates;
  /** More of the agent's configuration, as Consul's JSON has it. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** A Consul server agent with a leader of its own, on loopback HTTP, a Unix socket and DNS, scripts allowed. */
export class ConsulServer extends Server {
  readonly options: ConsulOptions;
  /** With ACLs on, may do all; else empty. */
  readonly token: string;
  #ports = { http: 0, https: 0, dns: 0, serf_lan: 0, server: 0 };

  constructor(options: ConsulOptions = {}) {
    super('consul');
    this.options = options;
    this.token = options.acl ? randomUUID() : '';
  }

  get httpPort(): number {
    return this.#ports.http;
  }
  get httpsPort(): number {
    return this.#ports.https;
  }
  get dnsPort(): number {
    return this.#ports.dns;
  }
  /** `127.0.0.1:port` of HTTP. */
  get address(): string {
    return `127.0.0.1:${this.httpPort}`;
  }
  get socket(): string {
    return join(this.dir, 'consul.sock');
  }

  protected async command(): Promise<Command> {
    const { tls, acl = false, config } = this.options;
    if (this.#ports.http === 0) {
      this.#ports = {
        http: await freePort(),
        https: await freePort(),
        dns: await freePort(),
        serf_lan: await freePort(),
        server: await freePort(),
      };
    }
    const file = join(this.dir, 'config.json');
    writeFileSync(
      file,
      JSON.stringify({
        server: true,
        bootstrap_expect: 1,
        node_name: 'consul-test',
        disable_host_node_id: true,
        bind_addr: '127.0.0.1',
        data_dir: this.dataDir,
        ports: { ...this.#ports, https: tls ? this.#ports.https : -1, serf_wan: -1, grpc: -1 },
        addresses: { http: `127.0.0.1 unix://${this.socket}`, https: '127.0.0.1', dns: '127.0.0.1' },
        performance: { raft_multiplier: 1 },
        limits: { http_max_conns_per_client: 10_000 },
        enable_script_checks: true,
        disable_update_check: true,
        ...(acl && {
          acl: { enabled: true, default_policy: 'deny', tokens: { master: this.token, agent: this.token } },
        }),
        ...(tls && {
          ca_file: tls.ca,
          cert_file: tls.serverCert,
          key_file: tls.serverKey,
          verify_incoming_https: true,
        }),
        ...config,
      }),
    );
    return { file: 'consul', args: ['agent', '-config-file', file] };
  }

  /** With a leader, and itself in the catalogue: before that DNS and catalogue answers are not to be trusted. */
  protected async isReady(): Promise<boolean> {
    const leader = await this.api<string>('GET', '/v1/status/leader');
    if (leader === '') return false;
    return (await this.api<unknown[]>('GET', '/v1/catalog/nodes')).length === 1;
  }

  /** Calls the HTTP API with the master token. Rejects on a status that is no success, with Consul's words. */
  async api<T = unknown>(method: string, path: string, body?: unknown, token = this.token): Promise<T> {
    const response = await fetch(`http://${this.address}${path}`, {
      method,
      headers: token === '' ? {} : { 'X-Consul-Token': token },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : parse(text)) as T;
  }

  /** A token that may do what `rules` (HCL) say. */
  async createToken(rules: string): Promise<string> {
    const name = `test-${randomUUID()}`;
    await this.api('PUT', '/v1/acl/policy', { Name: name, Rules: rules });
    const token = await this.api<{ SecretID: string }>('PUT', '/v1/acl/token', { Policies: [{ Name: name }] });
    return token.SecretID;
  }
}

/** Most answers are JSON; the rest are words. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
