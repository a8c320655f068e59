import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from '../test/support/eventually.ts';
import type { Vitals } from './probe.ts';

const probe = fileURLToPath(new URL('probe.ts', import.meta.url));

export interface SubjectOptions {
  /** `DOCKER_HOST`. */
  readonly host?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Can tell its vitals: at a small cost, so not where times are compared. */
  readonly probed?: boolean;
}

/** A program under measurement: registrator, or a floor. Counts the lines of its output instead of keeping them. */
export class Subject implements AsyncDisposable {
  /** `performance.now()` when it was started. */
  readonly startedAt = performance.now();
  /** Lines so far that say that a service was registered. */
  registered = 0;
  /** `performance.now()` of the first of them. */
  firstRegisteredAt: number | undefined;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #tail = '';
  #onLine: (line: string) => void = () => {};

  constructor(script: string, args: readonly string[], { host, env = {}, probed = false }: SubjectOptions = {}) {
    const { PATH = '' } = process.env;
    this.#child = spawn(process.execPath, [...(probed ? ['--import', probe] : []), script, ...args], {
      env: { PATH, ...env, ...(host !== undefined && { DOCKER_HOST: host }) },
      stdio: ['ignore', 'pipe', 'pipe', ...(probed ? ['ipc' as const] : [])],
    });
    this.#exited = once(this.#child, 'exit');
    const kill = () => this.#child.kill('SIGKILL');
    process.once('exit', kill);
    this.#child.once('exit', () => process.off('exit', kill));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#line(line);
      });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves with a line that contains the text, of those still to come. */
  line(text: string, deadlineMs = 60_000): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(this.#error(`printed no line with "${text}"`));
      const timer = setTimeout(fail, deadlineMs);
      this.#exited.then(fail);
      this.#onLine = (line) => {
        if (!line.includes(text)) return;
        clearTimeout(timer);
        this.#onLine = () => {};
        resolve(line);
      };
    });
  }

  /** Resolves when it has said of so many services that they are registered, with the milliseconds since its start. */
  async untilRegistered(services: number, deadlineMs = 300_000): Promise<number> {
    const exit = new AbortController();
    this.#exited.then(() => exit.abort(new Error('it exited')));
    await eventually(() => this.registered >= services, { everyMs: 5, deadlineMs, signal: exit.signal }).catch(() => {
      throw this.#error(`registered ${this.registered} of ${services} services`);
    });
    return this.#lastRegisteredAt - this.startedAt;
  }
  #lastRegisteredAt = 0;

  async vitals(reset = false): Promise<Vitals> {
    const answer = once(this.#child, 'message');
    this.#child.send(reset ? 'reset' : 'read');
    const [vitals] = await answer;
    return vitals as Vitals;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 12_000);
    await this.#exited;
    clearTimeout(timer);
  }

  #line(line: string): void {
    if (line.includes('"msg":"registered"')) {
      this.registered += 1;
      this.#lastRegisteredAt = performance.now();
      this.firstRegisteredAt ??= this.#lastRegisteredAt;
    } else {
      this.#tail = `${this.#tail}${line}\n`.slice(-2_000);
    }
    this.#onLine(line);
  }

  #error(what: string): Error {
    return new Error(`${this.#child.spawnargs.slice(1).join(' ')}: ${what}; its last lines:\n${this.#tail}`);
  }
}
