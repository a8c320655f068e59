import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Certificates } from './certificates.ts';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

export interface EtcdOptions {
  /** Serves clients by HTTPS only, and asks for their certificate. */
  readonly tls?: Certificates;
  /** Seconds that an auth token lives; etcd's default is 300. */
  readonly authTokenTtl?: number;
}

/** One etcd member, v2 and v3 API, on loopback. */
export class EtcdServer extends Server {
  readonly options: EtcdOptions;
  readonly member: string;
  /** `name=peer URL,…` of the whole cluster, set by EtcdCluster. */
  cluster: string | undefined;
  #port = 0;
  #peerPort = 0;
  #credentials: string | undefined;

  constructor(options: EtcdOptions = {}, member = 'etcd-test') {
    super('etcd');
    this.options = options;
    this.member = member;
  }

  get port(): number {
    return this.#port;
  }
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }
  get peerUrl(): string {
    return `http://127.0.0.1:${this.#peerPort}`;
  }

  async choosePorts(): Promise<void> {
    if (this.#port !== 0) return;
    this.#port = await freePort();
    this.#peerPort = await freePort();
  }

  protected async command(): Promise<Command> {
    await this.choosePorts();
    const { tls, authTokenTtl } = this.options;
    const clientUrl = `${tls ? 'https' : 'http'}://${this.address}`;
    return {
      file: 'etcd',
      args: [
        ...['--name', this.member, '--data-dir', this.dataDir, '--enable-v2', '--logger', 'zap'],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', this.peerUrl, '--initial-advertise-peer-urls', this.peerUrl],
        ...['--initial-cluster', this.cluster ?? `${this.member}=${this.peerUrl}`],
        // The log says then when a token has ended.
        ...(authTokenTtl === undefined ? [] : ['--auth-token-ttl', String(authTokenTtl), '--log-level', 'debug']),
        ...(tls ? ['--cert-file', tls.serverCert, '--key-file', tls.serverKey] : []),
        ...(tls ? ['--trusted-ca-file', tls.ca, '--client-cert-auth'] : []),
      ],
      // etcd 3.4 starts on nothing but amd64 without it.
      env: { ETCD_UNSUPPORTED_ARCH: process.arch },
    };
  }

  protected async isReady(): Promise<boolean> {
    // Linearizable, so it needs a leader; any client's permission will do.
    const health = JSON.parse(await this.ctl('endpoint', 'health', '-w', 'json')) as { health: boolean }[];
    return health[0]?.health === true;
  }

  /** Runs etcdctl (v3) on this member, as root once `enableAuth` was called. Resolves with what it printed. */
  async ctl(...words: readonly string[]): Promise<string> {
    const { tls } = this.options;
    const { PATH = '' } = process.env;
    const { stdout } = await run(
      'etcdctl',
      [
        ...['--endpoints', `${tls ? 'https' : 'http'}://${this.address}`],
        ...(tls ? ['--cacert', tls.ca, '--cert', tls.clientCert, '--key', tls.clientKey] : []),
        ...(this.#credentials === undefined ? [] : ['--user', this.#credentials]),
        ...words,
      ],
      { env: { PATH, ETCDCTL_API: '3' } },
    );
    return stdout.trim();
  }

  /** What is under the prefix in v3, by key. */
  async list(prefix = ''): Promise<Map<string, string>> {
    const answer = JSON.parse(await this.ctl('get', '--prefix', prefix, '-w', 'json')) as {
      kvs?: { key: string; value?: string }[];
    };
    const decode = (text = '') => Buffer.from(text, 'base64').toString();
    return new Map(answer.kvs?.map(({ key, value }) => [decode(key), decode(value)]));
  }

  /** Of v3: grows by one with each transaction that writes. */
  async revision(): Promise<number> {
    const answer = JSON.parse(await this.ctl('get', 'x', '-w', 'json')) as { header: { revision: number } };
    return answer.header.revision;
  }

  /** v3 authentication on, with the user root, and a user who may read and write `prefix` only. */
  async enableAuth(
    rootPassword: string,
    user?: { readonly name: string; readonly password: string; readonly prefix: string },
  ): Promise<void> {
    await this.ctl('user', 'add', `root:${rootPassword}`);
    await this.ctl('user', 'grant-role', 'root', 'root');
    if (user !== undefined) {
      await this.ctl('role', 'add', user.name);
      await this.ctl('role', 'grant-permission', user.name, '--prefix=true', 'readwrite', user.prefix);
      await this.ctl('user', 'add', `${user.name}:${user.password}`);
      await this.ctl('user', 'grant-role', user.name, user.name);
    }
    await this.ctl('auth', 'enable');
    this.#credentials = `root:${rootPassword}`;
  }

  override emptyData(): void {
    super.emptyData();
    this.#credentials = undefined;
  }
}

/** Three etcd members that replicate to each other. */
export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];

  constructor(options: EtcdOptions = {}) {
    this.members = ['etcd-1', 'etcd-2', 'etcd-3'].map((name) => new EtcdServer(options, name));
  }

  async start(): Promise<this> {
    for (const member of this.members) await member.choosePorts();
    const cluster = this.members.map(({ member, peerUrl }) => `${member}=${peerUrl}`).join(',');
    for (const member of this.members) member.cluster = cluster;
    await Promise.all(this.members.map((member) => member.start()));
    return this;
  }

  /** `host:port,host:port,host:port`. */
  get address(): string {
    return this.members.map(({ address }) => address).join(',');
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map((member) => member.dispose()));
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
