import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Transport } from '../lib/http/index.ts';

/** A call as dockerode hands it over: what it calls the options of docker-modem's `dial`, as far as calls that read have them. */
export interface Call {
  /** Where it ends in a question mark, `options` are its query. */
  readonly path: string;
  readonly method: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly abortSignal?: AbortSignal;
  /** The answer is handed back as it comes in, once it has begun. */
  readonly isStream?: boolean;
  /** True for a status that is a success, else what it says. */
  readonly statusCodes: Readonly<Record<number, true | string>>;
}

/** The engine answered, with a status that is no success. The message is its own words, where it gave some. */
export class EngineError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, body: unknown) {
    const { message } = Object(body) as { message?: unknown };
    super(typeof message === 'string' ? message : `HTTP ${statusCode}`);
    this.statusCode = statusCode;
  }
}

/** Milliseconds for one call. Listing thousands of containers takes Docker seconds. */
const CALL_TIMEOUT = 15_000;
const LIST_TIMEOUT = 60_000;
/** They tell which versions there are. */
const UNVERSIONED = new Set(['/_ping', '/version']);
/**
 * Characters from which on an answer is read in a turn of the event loop of its own: that takes tens of milliseconds, as
 * may what is done with it then, and others wait for both.
 */
const LARGE = 100_000;
/** Bytes of one answer: ten times what ten thousand containers take. */
const MAX_BYTES = 2 ** 28;

/**
 * What dockerode sends its calls with, in the place of docker-modem (its `modem` option): the same `dial`, over our
 * transport, which has time limits, ends on a signal, and costs half.
 */
export class Modem {
  /** Of the API, in each path; empty for none, which is the newest that the engine has. */
  version = '';
  /** The newest of the API that the engine has, by the header of its last answer. */
  offered: string | undefined;
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  dial(call: Call, callback: (error: unknown, answer: unknown) => void): void {
    this.#send(call).then(
      (answer) => callback(null, answer),
      (error: unknown) => callback(error, null),
    );
  }

  async #send({ path, method, options, abortSignal, isStream, statusCodes }: Call): Promise<unknown> {
    // Of an image's inspection, dockerode leaves the signal among the options.
    const signal = abortSignal ?? options?.abortSignal;
    if (!(signal instanceof AbortSignal)) throw new Error('a call to Docker needs a signal to end on');
    const prefix = this.version === '' || UNVERSIONED.has(path) ? '' : `/v${this.version}`;
    const request = { method: method as 'GET', path: `${prefix}${withQuery(path, options)}` };
    const timeoutMs = path.startsWith('/containers/json') ? LIST_TIMEOUT : CALL_TIMEOUT;
    if (isStream === true) {
      const { status, body } = await this.#transport.stream(request, timeoutMs, signal);
      if (statusCodes[status] !== true) throw new EngineError(status, read(await text(body)));
      return body;
    }
    const answer = await this.#transport.exchange(request, { timeoutMs, maxBytes: MAX_BYTES }, signal);
    const { 'api-version': offered } = answer.headers;
    if (typeof offered === 'string') this.offered = offered;
    if (statusCodes[answer.status] !== true) throw new EngineError(answer.status, read(answer.text));
    if (answer.text.length < LARGE) return read(answer.text);
    await nextTurn();
    const large = read(answer.text);
    await nextTurn();
    return large;
  }
}

function withQuery(path: string, options: Call['options']): string {
  if (!path.endsWith('?')) return path;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options ?? {})) {
    if (name === 'abortSignal' || value === undefined) continue;
    query.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  return query.size === 0 ? path.slice(0, -1) : `${path}${query}`;
}

/** JSON where it is some, else the words. */
function read(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}
