import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { dockerPing } from './docker-ping.ts';
import { busyboxRootfs } from './rootfs.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

/** Podman's service with its Docker-compatible API, with storage and a network namespace of its own. */
export class PodmanService extends Server {
  readonly #network = `rgt-${process.pid}-podman`;

  constructor() {
    super('podman');
    mkdirSync(join(this.dir, 'cni'));
    const [path, mark] = [`PATH=${this.#env.PATH}`, `REGISTRATOR_TEST_DIR=${this.dir}`];
    writeFileSync(
      this.#env.CONTAINERS_CONF,
      // Containers' usual limits are above what a sandbox may set.
      `[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\nconmon_env_vars = ["${path}", "${mark}"]\n`,
    );
  }

  /** The `DOCKER_HOST` of its socket. */
  get host(): string {
    return `unix://${this.#socket}`;
  }
  get #socket(): string {
    return join(this.dir, 'podman.sock');
  }
  get #env() {
    const { PATH = '' } = process.env;
    return { PATH: `${PATH}:/usr/sbin:/sbin`, HOME: this.dir, CONTAINERS_CONF: join(this.dir, 'containers.conf') };
  }
  get #words(): readonly string[] {
    return [
      ...[`--net=/run/netns/${this.#network}`, 'podman'],
      ...['--root', this.dataDir, '--runroot', join(this.dir, 'run'), '--tmpdir', join(this.dir, 'tmp')],
      ...['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--runtime', 'runc'],
      ...['--network-config-dir', join(this.dir, 'cni')],
    ];
  }

  protected async command(): Promise<Command> {
    await run('ip', ['netns', 'add', this.#network], { env: this.#env });
    writeFileSync(join(this.dir, 'network'), this.#network);
    await run('ip', ['-n', this.#network, 'link', 'set', 'lo', 'up'], { env: this.#env });
    return {
      file: 'nsenter',
      args: [...this.#words, 'system', 'service', '--time=0', this.host],
      env: this.#env,
    };
  }

  protected isReady(): Promise<boolean> {
    return dockerPing(this.#socket);
  }

  /** Runs the podman command line. Resolves with what it printed, trimmed. */
  async podman(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('nsenter', [...this.#words, ...args], { env: this.#env, maxBuffer: 64 << 20 });
    return stdout.trim();
  }

  /** Makes an image of a static busybox that sleeps. */
  async importImage(name: string, expose: readonly number[]): Promise<void> {
    const file = join(this.dir, 'rootfs.tar');
    writeFileSync(file, await busyboxRootfs());
    const command = JSON.stringify(['sh', '-c', "trap 'exit 0' TERM INT; sleep 2147483647 & wait"]);
    const changes = [...expose.map((port) => `EXPOSE ${port}`), `CMD ${command}`].flatMap((change) => ['-c', change]);
    await this.podman('import', ...changes, file, name);
  }

  override async dispose(): Promise<void> {
    await this.podman('rm', '-f', '-a', '-t', '0').catch(() => {}); // the reaper ends what is left
    await super.dispose();
  }
}
