import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import type { Certificates } from './certificates.ts';
import { dockerPing } from './docker-ping.ts';
import { Docker29 } from './docker29.ts';
import { asDocker29 } from './generations.ts';
import { isInOwnNetwork } from './own-network.ts';
import { freePort } from './ports.ts';
import { busyboxRootfs } from './rootfs.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

export interface EngineOptions {
  /** Containers on the default bridge get an IPv6 address too. */
  readonly ipv6?: boolean;
  /** Containers outlive the engine. */
  readonly liveRestore?: boolean;
  /** Also listens on `tcp://127.0.0.1:<tcpPort>`; with certificates it asks clients for theirs. */
  readonly tcp?: boolean | Certificates;
  /**
   * The engine's host is a network namespace of its own, where every port is free: for what uses well-known ports or
   * subnets. Published ports are then reached by `inNetwork` alone.
   */
  readonly ownNetwork?: boolean;
}

/** What `importImage` writes into the image; strings as a Dockerfile has them. */
export interface ImageOptions {
  /** e.g. `53/udp`. */
  readonly expose?: readonly (string | number)[];
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: sleeps, and exits with 0 at once on SIGTERM. */
  readonly cmd?: readonly string[];
  /** What follows HEALTHCHECK, e.g. `--interval=1s CMD test -e /tmp/well`. */
  readonly healthcheck?: string;
}

const sleeper = ['sh', '-c', "trap 'exit 0' TERM INT; sleep 2147483647 & wait"];

/** Serves `/www` on the port, and ends on SIGTERM. */
export const webServer = (port: number): readonly string[] => [
  'sh',
  '-c',
  `trap 'exit 0' TERM INT; httpd -f -p ${port} -h /www & wait`,
];

/**
 * A Docker engine of its own, beside any that the person uses, whose configuration, images and networks it never sees.
 * Published ports go through docker-proxy, so that it needs no iptables rule, of which there is one set a kernel.
 */
export class DockerEngine extends Server {
  readonly options: EngineOptions;
  readonly #docker29: Docker29 | undefined;
  /** The second and third octets of its networks differ from those of every other test engine. */
  #index = -1;
  #network: string | undefined;
  #tcpPort = 0;

  constructor(options: EngineOptions = {}) {
    super('dockerd');
    this.options = options;
    this.#docker29 = asDocker29 ? new Docker29(this.socket, join(this.dir, 'docker29.sock')) : undefined;
    writeFileSync(join(this.dir, 'daemon.json'), '{}');
  }

  get socket(): string {
    return join(this.dir, 'docker.sock');
  }
  /** The `DOCKER_HOST` of its Unix socket. */
  get host(): string {
    return this.#docker29?.host ?? this.#ownHost;
  }
  get #ownHost(): string {
    return `unix://${this.socket}`;
  }
  /** Where it listens with `tcp`. */
  get tcpPort(): number {
    return this.#tcpPort;
  }
  get bridge(): string {
    return `rgt${this.#index}`;
  }
  /** The network namespace of `ownNetwork`, by its name in /run/netns. */
  get network(): string | undefined {
    return this.#network;
  }
  /** The host's address on the default bridge. */
  get gateway(): string {
    return `10.213.${this.#index * 4}.1`;
  }

  protected async command(): Promise<Command> {
    if (!isInOwnNetwork) throw new Error('Engines of tests start in a network of their own: see own-network.ts.');
    if (this.#index < 0) await this.#makeBridge();
    // What a killed engine leaves; its shims stay, for live-restore.
    rmSync(join(this.dir, 'pid'), { force: true });
    rmSync(join(this.dir, 'exec/containerd/containerd.pid'), { force: true });
    await this.reap('containerd');
    await this.reap('docker-proxy');
    const { liveRestore = false, ipv6 = false, tcp = false } = this.options;
    if (tcp !== false && this.#tcpPort === 0) this.#tcpPort = await freePort();
    return {
      file: 'nsenter',
      args: [
        ...(this.#network === undefined ? [] : [`--net=/run/netns/${this.#network}`]),
        'dockerd',
        ...['--config-file', join(this.dir, 'daemon.json'), '-H', this.#ownHost],
        ...['--data-root', this.dataDir, '--exec-root', join(this.dir, 'exec'), '--pidfile', join(this.dir, 'pid')],
        ...['--bridge', this.bridge, '--default-address-pool', `base=10.214.${this.#index * 4}.0/22,size=27`],
        ...['--iptables=false', '--ip6tables=false', '--ip-masq=false', '--ip-forward=false'],
        ...['--exec-opt', 'native.cgroupdriver=cgroupfs', '--max-concurrent-downloads=1'],
        ...(liveRestore ? ['--live-restore'] : []),
        ...(ipv6 ? ['--ipv6', '--fixed-cidr-v6', `fd00:213:${this.#index}::/64`] : []),
        ...(tcp === false ? [] : ['-H', `tcp://127.0.0.1:${this.#tcpPort}`]),
        ...(typeof tcp === 'object'
          ? ['--tlsverify', `--tlscacert=${tcp.ca}`, `--tlscert=${tcp.serverCert}`, `--tlskey=${tcp.serverKey}`]
          : []),
      ],
    };
  }

  protected isReady(): Promise<boolean> {
    return dockerPing(this.socket);
  }

  override async start(): Promise<this> {
    await super.start();
    await this.#docker29?.start();
    return this;
  }

  override async dispose(): Promise<void> {
    await this.#docker29?.dispose();
    await super.dispose();
  }

  override async kill9(): Promise<void> {
    await super.kill9();
    // An engine's own process group would go with it under systemd; its containers stay.
    await this.reap('containerd');
    await this.reap('docker-proxy');
  }

  /** Runs the docker command line on this engine. Resolves with what it printed, trimmed; rejects with its own words. */
  docker(...args: readonly string[]): Promise<string> {
    return this.#docker(args);
  }

  async #docker(args: readonly string[], input?: Buffer): Promise<string> {
    const { PATH = '' } = process.env;
    const promise = run('docker', args, {
      env: {
        PATH,
        HOME: this.dir,
        DOCKER_CONFIG: join(this.dir, 'cli'),
        DOCKER_HOST: this.#ownHost,
        DOCKER_BUILDKIT: '0',
      },
      maxBuffer: 64 << 20,
    });
    promise.child.stdin?.on('error', () => {}); // the exit code says more
    promise.child.stdin?.end(input);
    try {
      return (await promise).stdout.trim();
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`docker ${args[0]}: ${stderr.trim()}\n${stdout.slice(-4_000)}`.trim(), { cause: error });
    }
  }

  /**
   * `docker run -d` with these words; resolves with the container's ID. Docker gives out host ports by a list of its own,
   * and gives up where another engine of this machine has the next ten: the next try has others.
   */
  async run(...words: readonly string[]): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      const file = join(this.dir, `cid-${randomUUID()}`);
      try {
        return await this.docker('run', '-d', '--cidfile', file, ...words);
      } catch (error) {
        if (attempt === 8 || !/address already in use|port is already allocated/.test(String(error))) throw error;
        await this.docker('rm', '-f', readFileSync(file, 'utf8'));
      }
    }
  }

  async inspect(container: string): Promise<ContainerSnapshot> {
    return JSON.parse(await this.docker('inspect', '--type', 'container', '-f', '{{json .}}', container));
  }

  /** The host port that `port`, e.g. `80/tcp`, of a container was published on. */
  async hostPort(container: string, port: string): Promise<number> {
    const [first = ''] = (await this.docker('port', container, port)).split('\n');
    return Number(first.slice(first.lastIndexOf(':') + 1));
  }

  /** Makes an image of a static busybox. Resolves with its ID, `sha256:…`. */
  async importImage(name: string, options: ImageOptions = {}): Promise<string> {
    const { expose = [], env = {}, labels = {}, cmd = sleeper, healthcheck } = options;
    const changes = [
      ...expose.map((port) => `EXPOSE ${port}`),
      ...Object.entries(env).map(([key, value]) => `ENV ${key}=${JSON.stringify(value)}`),
      ...Object.entries(labels).map(([key, value]) => `LABEL ${JSON.stringify(key)}=${JSON.stringify(value)}`),
      `CMD ${JSON.stringify(cmd)}`,
      ...(healthcheck === undefined ? [] : [`HEALTHCHECK ${healthcheck}`]),
    ];
    return this.importTar(await busyboxRootfs(), name, changes);
  }

  /** `docker import` of a tar file's content. */
  importTar(tar: Buffer, name: string, changes: readonly string[] = []): Promise<string> {
    return this.#docker(['import', ...changes.flatMap((change) => ['-c', change]), '-', name], tar);
  }

  /** Runs a command in the engine's network, which is `ownNetwork` or the machine's. Resolves with its output. */
  async inNetwork(file: string, ...args: readonly string[]): Promise<string> {
    const enter = this.#network === undefined ? [] : [`--net=/run/netns/${this.#network}`];
    return (await run('nsenter', [...enter, file, ...args])).stdout;
  }

  createNetwork(name: string, ...words: readonly string[]): Promise<string> {
    return this.docker('network', 'create', ...words, name);
  }

  /** Removes every container, for a test that starts from none. */
  async removeContainers(): Promise<void> {
    const ids = await this.docker('ps', '-aq');
    if (ids !== '') await this.docker('rm', '-f', '-v', ...ids.split('\n'));
  }

  /** Adding a link fails where the name is taken, which is what gives each engine of this machine its own number. */
  async #makeBridge(): Promise<void> {
    await removeStale();
    let where: string[] = [];
    if (this.options.ownNetwork) {
      this.#network = `rgt-${process.pid}-${++networks}`;
      writeFileSync(join(this.dir, 'network'), this.#network);
      where = ['-n', this.#network];
      await ip('netns', 'add', this.#network);
      await ip(...where, 'link', 'set', 'lo', 'up');
    }
    let index = 0;
    while (!(await addBridge(where, `rgt${index}`))) {
      if (++index === 64) throw new Error('64 test engines run on this machine already: see `ip link | grep rgt`');
    }
    this.#index = index;
    if (!this.options.ownNetwork) writeFileSync(join(this.dir, 'bridge'), this.bridge);
    await ip(...where, 'link', 'set', this.bridge, 'alias', `registrator test ${process.pid}`);
    await ip(...where, 'address', 'add', `${this.gateway}/22`, 'dev', this.bridge);
    if (this.options.ipv6) await ip(...where, 'address', 'add', `fd00:213:${index}::1/64`, 'dev', this.bridge, 'nodad');
    await ip(...where, 'link', 'set', this.bridge, 'up');
  }
}

/** Own networks made by this process, to name the next. */
let networks = 0;

/** False where there is one of that name. */
async function addBridge(where: readonly string[], name: string): Promise<boolean> {
  try {
    await ip(...where, 'link', 'add', name, 'type', 'bridge');
    return true;
  } catch (error) {
    if (String(error).includes('File exists')) return false;
    throw error;
  }
}

/** Bridges and network namespaces of test processes that were killed together with their reapers. */
async function removeStale(): Promise<void> {
  const links: { ifname: string; ifalias?: string }[] = JSON.parse(await ip('-json', 'link', 'show', 'type', 'bridge'));
  for (const { ifname, ifalias } of links) {
    const owner = /^registrator test (\d+)$/.exec(ifalias ?? '')?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await ip('link', 'delete', ifname).catch(() => {}); // another test was faster
  }
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const owner = /^rgt-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    await ip('netns', 'delete', name).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function ip(...args: readonly string[]): Promise<string> {
  const { PATH = '' } = process.env;
  const { stdout } = await run('ip', args, { env: { PATH: `${PATH}:/usr/sbin:/sbin` } });
  return stdout;
}
