import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';

const reapScript = fileURLToPath(new URL('reap.sh', import.meta.url));

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A server process of one test: a private temporary folder, a log file whose tail is shown when the start fails, and an
 * end that also comes when the test process is killed (see reap.sh). What it starts with is clean of the person's own
 * environment.
 *
 *     await using consul = await new ConsulServer().start();
 */
export abstract class Server implements AsyncDisposable {
  /** The server's name, for errors and the folder's name. */
  readonly name: string;
  /** Holds everything of it; removed by `dispose()`. */
  readonly dir: string;
  #child: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  readonly #reaper: ChildProcess;

  constructor(name: string) {
    this.name = name;
    this.dir = mkdtempSync(join(tmpdir(), `registrator-${name}-`));
    mkdirSync(this.dataDir);
    this.#reaper = spawn(reapScript, [this.dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#reaper.unref();
  }

  protected abstract command(): Command | Promise<Command>;
  /** Rejects or returns false until the server does its work. */
  protected abstract isReady(): Promise<unknown>;

  get dataDir(): string {
    return join(this.dir, 'data');
  }
  get logFile(): string {
    return join(this.dir, `${this.name}.log`);
  }
  get running(): boolean {
    return this.#child !== undefined;
  }
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it, on the same ports and data as before where it ran already, and waits until it does its work. */
  async start(): Promise<this> {
    await this.spawn();
    await this.untilReady();
    return this;
  }

  /** Starts the process and does not wait. */
  protected async spawn(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { file, args, env } = await this.command();
    const log = openSync(this.logFile, 'a');
    const { PATH = '' } = process.env;
    const child = spawn(file, args, {
      cwd: this.dir,
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        PATH: `${PATH}:/usr/sbin:/sbin`,
        HOME: this.dir,
        TMPDIR: this.dir,
        LANG: 'C.UTF-8',
        ...env,
        REGISTRATOR_TEST_DIR: this.dir,
      },
    });
    closeSync(log);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        if (this.#child === child) this.#child = undefined;
        resolve(undefined);
      };
      child.once('exit', gone);
      child.once('error', gone);
    });
  }

  protected async untilReady(deadlineMs = 30_000): Promise<void> {
    const exited = new AbortController();
    this.#exited.then(() => exited.abort(new Error('it exited')));
    try {
      await eventually(() => this.isReady(), { deadlineMs, everyMs: 30, signal: exited.signal });
    } catch (error) {
      const tail = this.log().split('\n').slice(-30).join('\n');
      await this.kill9();
      throw new Error(`${this.name} did not start; the end of its log:\n${tail}`, { cause: error });
    }
  }

  /** SIGTERM; what it holds stays. SIGKILL after 20 s. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await this.#exited;
    clearTimeout(timer);
  }

  async kill9(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** Stops the process where it stands, without closing its sockets (SIGSTOP), until `resume()`. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
    // The kernel stops thread after thread: one that still runs might answer a last request.
    while (this.running && !threadsOf(this.pid ?? 0).every((state) => state === 'T'));
  }
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** @param emptyData forgets all that it held, as a server on a new disk */
  async restart({ emptyData = false } = {}): Promise<void> {
    await this.stop();
    if (emptyData) this.emptyData();
    await this.start();
  }

  emptyData(): void {
    rmSync(this.dataDir, { recursive: true, force: true });
    mkdirSync(this.dataDir);
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** Ends everything that it started and removes its folder. */
  async dispose(): Promise<void> {
    await this.kill9();
    if (this.#reaper.exitCode !== null || this.#reaper.signalCode !== null) return;
    this.#reaper.ref();
    this.#reaper.stdin?.end();
    await once(this.#reaper, 'exit');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Ends what a killed process left running, by the process' name. */
  protected async reap(processName: string): Promise<void> {
    await promisify(execFile)(reapScript, [this.dir, 'now', processName]);
  }
}

/** The state of each thread, a letter as ps prints it. */
function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
  });
}
