import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

/** An SSH server on loopback whose `docker` speaks to one engine, and a client that has a key for it. */
export class SshServer extends Server {
  readonly #dockerHost: string;
  #port = 0;

  /** @param dockerHost the `DOCKER_HOST` of whoever logs in */
  constructor(dockerHost: string) {
    super('sshd');
    this.#dockerHost = dockerHost;
  }

  get port(): number {
    return this.#port;
  }
  /** A PATH whose `ssh` uses this server's client key and known hosts, instead of the person's own. */
  get clientPath(): string {
    return `${join(this.dir, 'bin')}:${process.env.PATH}`;
  }

  /** Lets the client know the server's key, or (false) that of another server at its place. */
  trust(rightKey: boolean): void {
    const key = readFileSync(join(this.dir, rightKey ? 'host_key.pub' : 'client_key.pub'), 'utf8');
    writeFileSync(join(this.dir, 'known_hosts'), `[127.0.0.1]:${this.#port} ${key}`);
  }

  /** Clients that are there now. */
  async connections(): Promise<number> {
    const found = run('pgrep', ['-c', '-f', join(this.dir, 'ssh_config')]);
    return Number((await found.catch((error: { stdout: string }) => error)).stdout);
  }

  /** Ends the server, and with it every connection, which would go on otherwise. */
  override async kill9(): Promise<void> {
    await super.kill9();
    await run('pkill', ['-9', '-f', join(this.dir, 'ssh_config')]).catch(() => undefined); // there was none
  }

  protected async command(): Promise<Command> {
    if (this.#port === 0) await this.#prepare();
    return { file: '/usr/sbin/sshd', args: ['-D', '-e', '-f', join(this.dir, 'sshd_config')] };
  }

  protected isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host: '127.0.0.1', port: this.#port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', reject);
    });
  }

  async #prepare(): Promise<void> {
    this.#port = await freePort();
    for (const key of ['host_key', 'client_key'])
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.dir, key)]);
    // Where sshd goes to give up its rights.
    mkdirSync('/run/sshd', { recursive: true });
    this.#write('sshd_config', [
      `Port ${this.#port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${this.dir}/host_key`,
      `AuthorizedKeysFile ${this.dir}/client_key.pub`,
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'PidFile none',
      `SetEnv DOCKER_HOST=${this.#dockerHost}`,
    ]);
    this.#write('ssh_config', [
      `IdentityFile ${this.dir}/client_key`,
      'IdentitiesOnly yes',
      `UserKnownHostsFile ${this.dir}/known_hosts`,
      'StrictHostKeyChecking yes',
    ]);
    mkdirSync(join(this.dir, 'bin'));
    const { stdout: ssh } = await run('sh', ['-c', 'command -v ssh']);
    this.#write('bin/ssh', ['#!/bin/sh', `exec ${ssh.trim()} -F ${this.dir}/ssh_config "$@"`]);
    chmodSync(join(this.dir, 'bin/ssh'), 0o755);
    this.trust(true);
  }

  #write(file: string, lines: readonly string[]): void {
    writeFileSync(join(this.dir, file), `${lines.join('\n')}\n`);
  }
}
