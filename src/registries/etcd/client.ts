import pRetry from 'p-retry';
import * as v from 'valibot';
import { checked } from '../../lib/checked.ts';
import { compact } from '../../lib/compact.ts';
import { HttpStatusError } from '../../lib/http/index.ts';
import { unlessAborted } from '../../lib/unless-aborted.ts';
import type { EtcdEndpoints } from './endpoints.ts';
import type { EtcdCredentials } from './uri.ts';

/** Codes of gRPC that etcd's refusals carry (grpc/codes). */
export const NOT_FOUND = 5;
export const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

const TOKEN_TRIES = 3;
/** Before the second try; a member that lags behind does not know a new token yet, so the third waits longer. */
const TOKEN_PAUSE_MS = 50;
/** Keys that one answer holds at most. */
const PAGE = 2_000;

/** etcd understood the request and said no. The message is etcd's. */
export class EtcdRefusal extends Error {
  override readonly name = 'EtcdRefusal';
  /** Of gRPC. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** A decimal number; `0` for none. */
  readonly lease: string;
}

/** A condition of a transaction: the key holds exactly this value, or (undefined) is not there. */
export interface Condition {
  readonly key: string;
  readonly value: string | undefined;
}

export type Operation =
  | { readonly put: string; readonly value: string; readonly lease?: string | undefined }
  | { readonly delete: string };

const KEY_VALUE = v.object({ key: v.string(), value: v.optional(v.string()), lease: v.optional(v.string()) });
const KEY_VALUES = v.optional(v.array(KEY_VALUE));

/** Answers of the gateway: a field with its type's zero value is left out. 64-bit numbers are strings. */
const RANGE = v.object({
  header: v.object({ revision: v.string() }),
  kvs: KEY_VALUES,
  more: v.optional(v.boolean()),
});
const TXN = v.object({
  succeeded: v.optional(v.boolean()),
  responses: v.optional(v.array(v.object({ response_range: v.optional(v.object({ kvs: KEY_VALUES })) }))),
});
const LEASE = v.object({ ID: v.string(), TTL: v.string() });
const KEPT_ALIVE = v.object({ result: v.optional(v.object({ TTL: v.optional(v.string()) })) });
const STREAM_ERROR = v.object({
  error: v.object({ grpc_code: v.optional(v.number()), message: v.optional(v.string()) }),
});
const REFUSAL = v.object({ code: v.number(), message: v.optional(v.string()), error: v.optional(v.string()) });
const AUTHENTICATED = v.object({ token: v.optional(v.string()) });

/** etcd's v3 API by its JSON gateway (etcd 3.4 and later), with a token where there are credentials. */
export class EtcdClient {
  readonly #endpoints: EtcdEndpoints;
  readonly #credentials: EtcdCredentials | undefined;
  readonly #closing = new AbortController();
  #token: Promise<string | undefined> | undefined;

  constructor(endpoints: EtcdEndpoints, credentials: EtcdCredentials | undefined) {
    this.#endpoints = endpoints;
    this.#credentials = credentials;
  }

  /** Everything below the prefix, which ends in a slash, as of one revision. */
  async list(prefix: string, signal: AbortSignal): Promise<KeyValue[]> {
    const found: KeyValue[] = [];
    const end = base64(`${prefix.slice(0, -1)}0`);
    let from = base64(prefix);
    let revision: string | undefined;
    for (;;) {
      const page = await this.#call(
        '/v3/kv/range',
        RANGE,
        signal,
        compact({ key: from, range_end: end, limit: String(PAGE), revision }),
      );
      const pairs = page.kvs ?? [];
      for (const pair of pairs) found.push(keyValue(pair));
      const last = pairs.at(-1);
      if (page.more !== true || last === undefined) return found;
      revision ??= page.header.revision;
      // The next key after the last one is the last one with a zero byte at its end.
      from = Buffer.concat([Buffer.from(last.key, 'base64'), Buffer.of(0)]).toString('base64');
    }
  }

  /** A linearizable read of one key below the prefix at most: proves the majority, the token and the permission. */
  async probe(prefix: string, signal: AbortSignal): Promise<void> {
    await this.#call('/v3/kv/range', RANGE, signal, {
      key: base64(prefix),
      range_end: base64(`${prefix.slice(0, -1)}0`),
      limit: '1',
      keys_only: true,
    });
  }

  /** All operations where all conditions hold, else none. @returns whether they held */
  async transact(
    conditions: readonly Condition[],
    operations: readonly Operation[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const answer = await this.#call('/v3/kv/txn', TXN, signal, {
      compare: conditions.map(({ key, value }) =>
        value === undefined
          ? { key: base64(key), target: 'VERSION', result: 'EQUAL', version: '0' }
          : { key: base64(key), target: 'VALUE', result: 'EQUAL', value: base64(value) },
      ),
      success: operations.map(jsonOperation),
    });
    return answer.succeeded === true;
  }

  /** What is at these keys, 128 at most, as of one revision; those without anything are left out. */
  async read(keys: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, KeyValue>> {
    const success = keys.map((key) => ({ request_range: { key: base64(key) } }));
    const answer = await this.#call('/v3/kv/txn', TXN, signal, { success });
    const pairs = (answer.responses ?? []).flatMap(({ response_range }) => response_range?.kvs ?? []).map(keyValue);
    return new Map(pairs.map((pair) => [pair.key, pair]));
  }

  /** @param ttl in seconds; the answer's may be longer */
  async grant(ttl: number, signal: AbortSignal): Promise<{ readonly id: string; readonly ttl: number }> {
    const body = { TTL: String(Math.ceil(ttl)) };
    const answer = await this.#call('/v3/lease/grant', LEASE, signal, body);
    return { id: answer.ID, ttl: Number(answer.TTL) };
  }

  /** @returns whether the lease is there still */
  async keepAlive(id: string, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#call('/v3/lease/keepalive', KEPT_ALIVE, signal, { ID: id });
    // A lease that is gone has no TTL.
    return Number(answer.result?.TTL ?? 0) > 0;
  }

  lost(signal: AbortSignal): Promise<string> {
    return this.#endpoints.lost(signal);
  }

  close(): void {
    this.#closing.abort(new Error('the connection to etcd was closed'));
    this.#endpoints.close();
  }

  /**
   * @throws EtcdRefusal; an Error with a sentence for people where etcd does not answer, does not let us in, or answers
   * something else than the schema says
   */
  async #call<S extends v.GenericSchema>(
    path: string,
    schema: S,
    signal: AbortSignal,
    body: unknown,
  ): Promise<v.InferInput<S>> {
    return pRetry(() => this.#callOnce(path, schema, signal, body), {
      retries: TOKEN_TRIES - 1,
      minTimeout: TOKEN_PAUSE_MS,
      factor: 4,
      randomize: true,
      signal,
      shouldRetry: ({ error }) => error instanceof TokenError,
    });
  }

  /** @throws TokenError where etcd does not take the token: the next call fetches another one */
  async #callOnce<S extends v.GenericSchema>(
    path: string,
    schema: S,
    signal: AbortSignal,
    body: unknown,
  ): Promise<v.InferInput<S>> {
    const token = await this.#authenticated(signal);
    try {
      const headers = token === undefined ? {} : { Authorization: token };
      const answer = await this.#endpoints.request({ method: 'POST', url: path, data: body, headers, signal });
      throwStreamError(answer);
      return checked(schema, answer, NO_ETCD);
    } catch (error) {
      const refusal = asRefusal(error);
      if (!(refusal instanceof EtcdRefusal) || !wantsToken(refusal)) throw refusal;
      if (this.#credentials === undefined) throw new Error(NEEDS_USER);
      // Simple tokens live in the members' memory, and for five minutes of silence (etcd: --auth-token-ttl).
      if ((await this.#token?.catch(() => undefined)) === token) this.#token = undefined;
      throw new TokenError(`etcd does not take the token that it gave («${refusal.message}»)`);
    }
  }

  async #authenticated(signal: AbortSignal): Promise<string | undefined> {
    if (this.#credentials === undefined) return undefined;
    this.#token ??= this.#authenticate(this.#credentials);
    const token = this.#token;
    token.catch(() => {
      if (this.#token === token) this.#token = undefined;
    });
    return unlessAborted(token, signal);
  }

  async #authenticate({ username, password }: EtcdCredentials): Promise<string | undefined> {
    const body = { name: username, password: await password() };
    try {
      const request = { method: 'POST', url: '/v3/auth/authenticate', data: body, signal: this.#closing.signal };
      return checked(AUTHENTICATED, await this.#endpoints.request(request), NO_ETCD).token;
    } catch (error) {
      const refusal = asRefusal(error);
      if (!(refusal instanceof EtcdRefusal)) throw refusal;
      // "authentication is not enabled": then nobody asks for a token either.
      if (refusal.code === FAILED_PRECONDITION) return undefined;
      throw new Error(
        `etcd refuses the user "${username}" («${refusal.message}»): check ETCD_USERNAME, and ETCD_PASSWORD or ETCD_PASSWORD_FILE.`,
      );
    }
  }
}

const NO_ETCD = 'What answers is no etcd v3';
class TokenError extends Error {}

const NEEDS_USER = 'etcd asks for a user: set ETCD_USERNAME, and ETCD_PASSWORD or ETCD_PASSWORD_FILE.';

function wantsToken({ code, message }: EtcdRefusal): boolean {
  return code === UNAUTHENTICATED || /user name is empty|revision in header is old/.test(message);
}

/** An answer that is a stream says in its body, with status 200, what failed. */
function throwStreamError(answer: unknown): void {
  if (!v.is(STREAM_ERROR, answer)) return;
  const { grpc_code: code = 0, message = 'no reason given' } = answer.error;
  throw new EtcdRefusal(code, message);
}

function asRefusal(error: unknown): unknown {
  if (!(error instanceof HttpStatusError)) return error;
  const { code, message, error: text } = v.is(REFUSAL, error.data) ? error.data : {};
  const reason = message ?? text;
  if (code === undefined || reason === undefined || code === UNIMPLEMENTED) {
    return new Error(
      `What answers speaks no etcd v3 JSON (${error.message}): give the address of etcd 3.4 or later, or use etcd-legacy:// or skydns2:// for the v2 API.`,
    );
  }
  const words = reason.slice(0, 300);
  if (code === RESOURCE_EXHAUSTED) {
    return new Error(
      `etcd takes nothing more («${words}»): where its space is used up, compact, defragment and disarm.`,
    );
  }
  return new EtcdRefusal(code, words);
}

function jsonOperation(operation: Operation): unknown {
  if ('delete' in operation) return { request_delete_range: { key: base64(operation.delete) } };
  const { put, value, lease } = operation;
  return { request_put: compact({ key: base64(put), value: base64(value), lease }) };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

function keyValue({ key, value = '', lease = '0' }: v.InferInput<typeof KEY_VALUE>): KeyValue {
  return { key: Buffer.from(key, 'base64').toString(), value: Buffer.from(value, 'base64').toString(), lease };
}
