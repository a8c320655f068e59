export interface HttpAnswer {
  readonly status: number;
  /** The `Content-Type`. */
  readonly type: string;
  readonly body: string;
}

/** A page that answers GET, for whichever HTTP server is there. */
export interface HttpRoute {
  /** As in `/health`. */
  readonly path: string;
  answer(): HttpAnswer | Promise<HttpAnswer>;
}
