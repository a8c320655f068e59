import type { IncomingMessage } from 'node:http';
import { eventually } from '../test/support/eventually.ts';
import { LeanClient } from './floor/http.ts';

export interface EventTime {
  /** Milliseconds since the epoch, by Docker. */
  readonly dockerTime: number;
  /** `performance.now()` of its arrival here. */
  readonly at: number;
}

/** Listens to Docker's events as a bystander: when did each happen, and when could a client know? */
export class EventTimes implements AsyncDisposable {
  readonly #last = new Map<string, EventTime>();
  #stream: IncomingMessage | undefined;

  async start(socketPath: string): Promise<this> {
    const stream = await new LeanClient({ socketPath }).stream('/events');
    this.#stream = stream;
    stream.on('error', () => {});
    let rest = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const at = performance.now();
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { id, Action, timeNano } = JSON.parse(line);
        this.#last.set(`${id} ${Action}`, { dockerTime: timeNano / 1e6, at });
      }
    });
    return this;
  }

  /** The next event of this container and action that was not yet asked for. */
  async of(id: string, action: string): Promise<EventTime> {
    const key = `${id} ${action}`;
    const time = await eventually(() => this.#last.get(key), { everyMs: 1 });
    this.#last.delete(key);
    return time;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.destroy();
  }
}
