import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SimulatedDocker } from './simulated-docker.ts';
import type { StormOptions } from './simulated-storm.ts';

/** A call by IPC, and what comes back. */
export interface Call {
  readonly id: number;
  readonly method: Method | 'requests' | 'inspections' | 'containers' | 'storm';
  readonly args: readonly unknown[];
}
export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

type Method = {
  [K in keyof SimulatedDocker]: K extends string
    ? SimulatedDocker[K] extends (...args: never) => unknown
      ? K
      : never
    : never;
}[keyof SimulatedDocker];

const main = fileURLToPath(new URL('simulated-docker-main.ts', import.meta.url));

/**
 * A SimulatedDocker in a process of its own.
 *
 *     await using docker = await new SimulatedDockerProcess().start();
 *     await docker.call('fill', 10_000);
 */
export class SimulatedDockerProcess implements AsyncDisposable {
  #child: ChildProcess | undefined;
  #host = '';
  #calls = 0;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();

  async start(): Promise<this> {
    const child = fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', (reply: Reply) => this.#settle(reply));
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the simulated engine has ended'));
      this.#waiting.clear();
    });
    this.#host = (await new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }))) as string;
    return this;
  }

  /** Its `DOCKER_HOST`. */
  get host(): string {
    return this.#host;
  }
  get socket(): string {
    return this.#host.replace('unix://', '');
  }

  call<M extends Method>(
    method: M,
    ...args: Parameters<SimulatedDocker[M]>
  ): Promise<Awaited<ReturnType<SimulatedDocker[M]>>> {
    return this.#send(method, args) as Promise<Awaited<ReturnType<SimulatedDocker[M]>>>;
  }
  async requests(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#send('requests', [])) as [string, number][]);
  }
  /** How often each container was inspected. */
  inspections(): Promise<readonly number[]> {
    return this.#send('inspections', []) as Promise<number[]>;
  }
  containers(): Promise<readonly string[]> {
    return this.#send('containers', []) as Promise<string[]>;
  }
  /** See simulated-storm.ts. */
  storm(
    containers: readonly string[],
    options: StormOptions,
  ): Promise<{ readonly actions: number; readonly ms: number }> {
    return this.#send('storm', [containers, options]) as Promise<{ actions: number; ms: number }>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  }

  #send(method: Call['method'], args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child?.send({ id, method, args } satisfies Call, (error) => error && reject(error));
    });
  }

  #settle({ id, value, error }: Reply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error));
  }
}
