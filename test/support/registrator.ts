import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type EventuallyOptions, eventually } from './eventually.ts';

const cli = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** One log line, as pino writes it. */
export interface LogLine {
  readonly level?: number | string;
  readonly msg?: string;
  readonly [field: string]: unknown;
}

export interface RegistratorOptions {
  /** `DOCKER_HOST`; nothing is set without it. */
  readonly host?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The network namespace to run in, by its name in /run/netns (`DockerEngine.network`). */
  readonly network?: string | undefined;
  /** The script to run; `src/cli/main.ts`. */
  readonly script?: string;
}

/**
 * The program itself as a child process, with nothing of this process' environment but PATH and NODE_OPTIONS. Ends with this process
 * by a pipe that it does not know of.
 */
export class Registrator implements AsyncDisposable {
  /** Log lines so far; a line that is no JSON is `{ msg: line }`. */
  readonly lines: LogLine[] = [];
  stdout = '';
  stderr = '';
  /** Resolves when it has exited, with its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess;

  constructor(args: readonly string[], { host, env = {}, network, script = cli }: RegistratorOptions = {}) {
    // NODE_OPTIONS: by it the oldest Node runs TypeScript.
    const { PATH = '', NODE_OPTIONS = '' } = process.env;
    const enter = network === undefined ? [] : ['nsenter', `--net=/run/netns/${network}`];
    const [file = '', ...words] = [...enter, process.execPath, script, ...args];
    this.#child = spawn(file, words, {
      env: { PATH, NODE_OPTIONS, ...(host !== undefined && { DOCKER_HOST: host }), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#guard = guard(this.pid);
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.#guard.kill();
        resolve(code ?? signal ?? 'SIGKILL');
      });
    });
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.#child[name];
      if (!stream) continue;
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        this[name] += chunk;
      });
      createInterface({ input: stream }).on('line', (line) => this.lines.push(parse(line)));
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first log line so far, or to come, that fits: a predicate, or a part or pattern of the message. */
  async waitForLog(
    fits: string | RegExp | ((line: LogLine) => boolean),
    options: EventuallyOptions = {},
  ): Promise<LogLine> {
    const test = typeof fits === 'function' ? fits : (line: LogLine) => matches(line.msg ?? '', fits);
    const exited = new AbortController();
    const onExit = () => exited.abort(new Error('it exited'));
    this.exited.then(onExit, onExit);
    try {
      return await eventually(() => this.lines.find(test), { everyMs: 20, signal: exited.signal, ...options });
    } catch (error) {
      const line = this.lines.find(test); // may have come with the exit
      if (line !== undefined) return line;
      const tail = `${this.stdout}${this.stderr}`.split('\n').slice(-30).join('\n');
      throw new Error(`registrator did not log ${fits}; its last lines:\n${tail}`, { cause: error });
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit code, or the name of the signal that ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    if (this.running) this.#child.kill(signal);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.kill('SIGKILL'), 15_000);
    await this.stop();
    clearTimeout(timer);
  }
}

/** Ends the process when this one ends, however that comes: a pipe tells. */
function guard(pid: number): ChildProcess {
  const script = 'cat >/dev/null; kill -9 "$0" 2>/dev/null';
  const child = spawn('sh', ['-c', script, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.unref();
  (child.stdin as Socket | null)?.unref();
  return child;
}

/** Runs it to its end: for `--version`, wrong flags and the like. */
export async function runRegistrator(
  args: readonly string[],
  options: RegistratorOptions = {},
): Promise<{ readonly code: number | NodeJS.Signals; readonly stdout: string; readonly stderr: string }> {
  const child = new Registrator(args, options);
  const code = await child.exited;
  return { code, stdout: child.stdout, stderr: child.stderr };
}

function matches(text: string, pattern: string | RegExp): boolean {
  return typeof pattern === 'string' ? text.includes(pattern) : pattern.test(text);
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
}
