import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { Duplex } from 'node:stream';

export interface SshHost {
  readonly host: string;
  readonly port?: string;
  readonly user?: string;
  /** The engine's socket over there, where it is not the one that `docker` there takes. */
  readonly socketPath?: string;
}

/**
 * A connection to the Docker engine behind an SSH server, made as Docker's own CLI makes it (docker/cli, `connhelper`):
 * by the `ssh` command, so that its configuration, keys and known hosts count, and `docker system dial-stdio` over there.
 */
export function dialOverSsh({ host, port, user, socketPath }: SshHost): Duplex {
  const where = [...(user === undefined ? [] : ['-l', user]), ...(port === undefined ? [] : ['-p', port]), '--', host];
  // In batch mode it asks for no password: nobody sits here.
  const options = ['-T', '-o', 'ConnectTimeout=30', '-o', 'BatchMode=yes'];
  const docker = ['docker', ...(socketPath === undefined ? [] : ['--host', `unix://${socketPath}`])];
  return new SshConnection(host, spawn('ssh', [...options, ...where, ...docker, 'system', 'dial-stdio']));
}

/** What goes through the command's stdin and stdout. Fails, when the command ends, with what it said. */
class SshConnection extends Duplex {
  readonly #ssh: ChildProcessWithoutNullStreams;
  #words = '';

  constructor(host: string, ssh: ChildProcessWithoutNullStreams) {
    super();
    this.#ssh = ssh;
    const fail = (reason: string) => this.destroy(new Error(`ssh to ${host}: ${reason}`));
    ssh.stdout.on('data', (chunk: Buffer) => this.push(chunk) || ssh.stdout.pause());
    ssh.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#words = `${this.#words}${text}`.slice(-500);
    });
    // The command's end says more than a write that failed.
    ssh.stdin.on('error', () => undefined);
    ssh.once('error', ({ code, message }: NodeJS.ErrnoException) =>
      fail(code === 'ENOENT' ? 'there is no ssh command here; install the OpenSSH client' : message),
    );
    ssh.once('close', (code) => fail(this.#words.trim().split('\n').at(-1) || `it ended with exit code ${code}`));
  }

  override _read(): void {
    this.#ssh.stdout.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    this.#ssh.stdin.write(chunk, () => written());
  }

  override _destroy(error: Error | null, destroyed: (error: Error | null) => void): void {
    this.#ssh.kill();
    destroyed(error);
  }
}
