import type { Store, Topic } from '../store.ts';
import type { QueryParameters } from './query.ts';

/** One of Consul's read endpoints. */
export interface Endpoint {
  /** Under `/v1`; with `/*` at its end, the rest of the path is a name, slashes included. */
  readonly path: string;
  /** What the endpoint is asked for, for the sentence where it is missing. */
  readonly needs?: string;
  /** What a blocking query waits for; absent: the endpoint has no index. */
  readonly topic?: (name: string) => Topic;
  /** Of what there is now: what `?hash=` waits to differ (Consul's hash-based blocking query). */
  readonly hash?: (store: Store, name: string) => string | undefined;
  /** Whether `filter=` counts here. */
  readonly filters?: boolean;
  /** It tells of this host alone, and is answered before all is known that runs here. */
  readonly atOnce?: boolean;
  readonly read: (store: Store, name: string, query: QueryParameters) => unknown;
}

/** An answer whose HTTP status says something too. Without a body it is the text, or empty. */
export class Outcome {
  readonly status: number;
  readonly body: unknown;
  /** What `?format=text` gets instead, and whoever asks where there is no body. */
  readonly text: string;

  constructor(status: number, body: unknown, text: string) {
    this.status = status;
    this.body = body;
    this.text = text;
  }
}
