import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../lib/log/index.ts';

import type { ContainerEvent, DockerHost, Listed } from './docker-host.ts';
import { untilAnswered } from './until-answered.ts';

export interface WatcherOptions {
  /** List containers that do not run, too. */
  readonly all: boolean;
  /** Milliseconds between two listings; 0 for one a connection. */
  readonly resyncMs: number;
}

export interface WatcherHandlers {
  /** The container may have changed. */
  onEvent(event: ContainerEvent): void;
  /** All containers there are. */
  onListing(containers: readonly Listed[]): void;
}

/** A stream that says nothing for so long, in milliseconds, may be dead without knowing it: it is opened anew. */
const SILENCE = 30_000;

/**
 * Lists, then watches, after client-go's reflector: the event stream is opened first, so that nothing falls between.
 * Ends only when the signal aborts; Docker may go and come back meanwhile.
 */
export class DockerWatcher {
  readonly #docker: DockerHost;
  readonly #options: WatcherOptions;
  readonly #handlers: WatcherHandlers;
  readonly #log: Logger;
  #lastEvent: string | undefined;
  #connections = 0;
  #up = false;
  /** Whether it was told that Docker is away. */
  #told = false;

  constructor(docker: DockerHost, options: WatcherOptions, handlers: WatcherHandlers, log: Logger) {
    this.#docker = docker;
    this.#options = options;
    this.#handlers = handlers;
    this.#log = log.child({ docker: docker.name });
  }

  /** Event streams opened so far. */
  get connections(): number {
    return this.#connections;
  }

  get connected(): boolean {
    return this.#up;
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const connection = new AbortController();
        const ended = AbortSignal.any([signal, connection.signal]);
        try {
          await this.#watch(await this.#connect(ended), ended);
        } finally {
          connection.abort();
        }
        signal.throwIfAborted();
        await sleep(100 + Math.random() * 200, undefined, { signal });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Opens the stream and lists; for ever, with backoff, until Docker does both. */
  async #connect(signal: AbortSignal): Promise<AsyncIterable<ContainerEvent>> {
    return untilAnswered(
      async () => {
        const attempt = new AbortController();
        const abort = AbortSignal.any([signal, attempt.signal]);
        try {
          const events = await this.#docker.events(this.#lastEvent, abort);
          await this.#list(abort);
          if (this.#connections === 0) this.#log.info('watching Docker');
          else if (this.#told) this.#log.info('Docker answers again; caught up');
          this.#told = false;
          this.#up = true;
          this.#connections += 1;
          return events;
        } catch (error) {
          attempt.abort();
          throw error;
        }
      },
      signal,
      ({ error }) => this.#tellAway(error.message),
    );
  }

  async #list(signal: AbortSignal): Promise<void> {
    this.#handlers.onListing(await this.#docker.list(this.#options.all, signal));
  }

  /** Hands on events until the stream ends, fails or stays silent. */
  async #watch(events: AsyncIterable<ContainerEvent>, signal: AbortSignal): Promise<void> {
    const silence = Promise.withResolvers<'silent'>();
    const watchdog = setTimeout(() => silence.resolve('silent'), SILENCE);
    const resync = this.#resync(signal);
    const consumed = this.#consume(events, () => watchdog.refresh());
    try {
      const end = await Promise.race([consumed, silence.promise, resync]);
      if (end === 'ended') this.#cut('the event stream ended');
    } catch (error) {
      signal.throwIfAborted();
      this.#cut((error as Error).message);
    } finally {
      clearTimeout(watchdog);
    }
  }

  async #consume(events: AsyncIterable<ContainerEvent>, alive: () => void): Promise<'ended'> {
    for await (const event of events) {
      alive();
      this.#lastEvent = event.time;
      this.#handlers.onEvent(event);
    }
    return 'ended';
  }

  /** Rejects when a listing fails: then the connection is not to be trusted either. */
  async #resync(signal: AbortSignal): Promise<never> {
    for (;;) {
      await sleep(this.#options.resyncMs || 2 ** 31 - 1, undefined, { signal });
      await this.#list(signal);
    }
  }

  /** A proxy that idles connections out cuts the stream time and again: that is news only where Docker is away. */
  #cut(reason: string): void {
    this.#up = false;
    this.#log.debug({ reason }, 'the event stream was cut; opening it again');
  }

  #tellAway(reason: string): void {
    this.#up = false;
    if (this.#told) return;
    this.#told = true;
    this.#log.warn(
      { err: reason },
      'Docker does not answer; what is registered stays, and it is tried again. Is the engine up, and may registrator read its socket?',
    );
  }
}
