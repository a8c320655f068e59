import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the catalogue is. */
export interface Place {
  readonly http: number;
  readonly dns: number;
}

/** A client of Consul that follows the service `web`. */
export interface Client {
  readonly name: string;
  /** The addresses of `web`'s instances that it uses now; undefined where it has none yet. */
  addresses(): Promise<readonly string[] | undefined>;
  stop(): void;
}

/** A program of the system, with a folder of its own for its files. */
export class Program {
  readonly dir = mkdtempSync(join(tmpdir(), 'registrator-client-'));
  #child: ChildProcess | undefined;
  /** Lines of its output so far. */
  readonly lines: string[] = [];

  file(name: string, content: string): string {
    const path = join(this.dir, name);
    writeFileSync(path, content);
    return path;
  }

  run(file: string, args: readonly string[]): void {
    const { PATH = '' } = process.env;
    const child = spawn(file, args, {
      cwd: this.dir,
      env: { PATH: `${PATH}:/usr/sbin`, HOME: this.dir },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    let rest = '';
    const take = (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      this.lines.push(...lines);
      this.lines.splice(0, this.lines.length - 200);
    };
    child.stdout?.setEncoding('utf8').on('data', take);
    child.stderr?.setEncoding('utf8').on('data', take);
    child.on('error', (error) => this.lines.push(String(error)));
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** The last line that is a JSON list of addresses: what the clients without an interface of their own print. */
export function lastList(lines: readonly string[]): readonly string[] | undefined {
  const line = lines.findLast((text) => text.startsWith('['));
  return line === undefined ? undefined : (JSON.parse(line) as string[]);
}
