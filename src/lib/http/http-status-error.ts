/** The server answered, with a status that is no success. `message` is the server's own words, cut to 500 characters. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError';
  readonly status: number;
  /** The answer's body: read, where it is JSON. */
  readonly data: unknown;

  constructor(status: number, data: unknown) {
    const text = typeof data === 'string' ? data : JSON.stringify(data ?? '');
    super(`HTTP ${status}: ${text.trim().slice(0, 500) || 'no reason given'}`);
    this.status = status;
    this.data = data;
  }
}
