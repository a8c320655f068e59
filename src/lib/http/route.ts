import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

/** What an answer is made from. */
export interface HttpRequest {
  readonly method: string;
  /** As it was written, without the query. */
  readonly path: string;
  /** What stands where the route's path has its `*`, decoded; empty where it has none. */
  readonly rest: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Aborts when nobody waits for the answer any more: the client is gone, or the server closes. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** The `Content-Type`; absent where there is no body. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A function writes the body itself, and for as long as it likes: the head is sent by then. */
  readonly body: string | Buffer | ((response: ServerResponse) => void);
}

/** A page, for whichever HTTP server is there. */
export interface HttpRoute {
  /** GET where absent; HEAD comes with it. */
  readonly method?: 'GET' | 'PUT';
  /** As in `/health`; with `/*` at its end, whatever comes behind. */
  readonly path: string;
  answer(request: HttpRequest): HttpAnswer | Promise<HttpAnswer>;
}

/** An answer of one sentence. */
export const sentence = (status: number, body: string, headers: HttpAnswer['headers'] = {}) => ({
  status,
  type: 'text/plain; charset=utf-8',
  headers,
  body,
});

export const redirect = (location: string, headers: HttpAnswer['headers'] = {}): HttpAnswer => ({
  status: 302,
  headers: { ...headers, Location: location },
  body: '',
});
