import { createHash } from 'node:crypto';
import { type HttpAnswer, type HttpRequest, sentence } from '../../lib/http/route.ts';
import type { Store, Topic } from '../store.ts';
import { type Endpoint, Outcome } from './endpoint.ts';
import { ApiError } from './error.ts';
import { QueryParameters } from './query.ts';

/** Answers a read of one endpoint, after waiting where it is a blocking query. @throws ApiError */
export async function answerOf(endpoint: Endpoint, store: Store, request: HttpRequest): Promise<HttpAnswer> {
  const { rest: name, signal } = request;
  const query = new QueryParameters(request.query);
  if (request.method === 'HEAD') return sentence(405, 'method HEAD not allowed', { Allow: 'OPTIONS,GET' });
  if (endpoint.needs !== undefined && name === '') throw new ApiError(400, `Missing ${endpoint.needs}`);
  query.check(store.node.datacenter);
  if (!store.whole && endpoint.atOnce !== true) throw new ApiError(500, 'No cluster leader');
  const read = () => rendered(endpoint, store, name, query);
  if (endpoint.hash !== undefined) {
    const hash = () => endpoint.hash?.(store, name);
    await untilHashDiffers(store, hash, query, signal);
    const now = hash();
    return now === undefined ? read() : withHeaders(read(), { 'X-Consul-ContentHash': now });
  }
  const topic = endpoint.topic?.(name);
  if (topic === undefined) return read();
  await untilChanged(store, topic, read, query, signal);
  // In one go: an answer with the index of a later one would leave its client waiting for what it never saw.
  return withHeaders(read(), {
    'X-Consul-Index': String(store.indexOf(topic)),
    'X-Consul-KnownLeader': 'true',
    'X-Consul-LastContact': '0',
    'X-Consul-Effective-Consistency': query.consistency,
    'X-Consul-Query-Backend': 'blocking-query',
    ...(query.has('cached') ? { 'X-Cache': 'MISS' } : {}),
  });
}

type Rendered = HttpAnswer & { readonly body: string };

/**
 * A blocking query: where the client's index is the topic's own, until what it would be answered is something else, or
 * its time is over. Any other index is of something that the client has not seen, or of an earlier life of this
 * catalogue: it is answered at once.
 */
async function untilChanged(
  store: Store,
  topic: Topic,
  read: () => Rendered,
  { index, wait }: QueryParameters,
  signal: AbortSignal,
): Promise<void> {
  if (index !== store.indexOf(topic)) return;
  // A waiting client costs a digest, not its answer.
  const known = digest(read().body);
  await within(wait, signal, async (limit) => {
    do await store.wait(topic, store.indexOf(topic), limit);
    while (!limit.aborted && digest(read().body) === known);
  });
}

/** Consul's hash-based blocking query, of an agent's endpoint: until the hash is another than the client's. */
async function untilHashDiffers(
  store: Store,
  now: () => string | undefined,
  query: QueryParameters,
  signal: AbortSignal,
): Promise<void> {
  const hash = query.one('hash');
  if (hash === undefined || hash !== now()) return;
  await within(query.wait, signal, async (limit) => {
    while (!limit.aborted && hash === now()) await store.wait('all', store.index, limit);
  });
}

/** Lets something wait for so many milliseconds, for as long as there is a client. */
async function within(
  milliseconds: number,
  signal: AbortSignal,
  waiting: (limit: AbortSignal) => Promise<void>,
): Promise<void> {
  const limit = new AbortController();
  const stop = () => limit.abort();
  signal.addEventListener('abort', stop, { signal: limit.signal });
  // As Consul: up to a sixteenth more, so that clients do not come back all at once.
  const timer = setTimeout(stop, milliseconds + (Math.random() * milliseconds) / 16);
  if (!signal.aborted) await waiting(limit.signal);
  clearTimeout(timer);
  signal.removeEventListener('abort', stop);
}

function rendered(endpoint: Endpoint, store: Store, name: string, query: QueryParameters): Rendered {
  const found = endpoint.read(store, name, query);
  if (!(found instanceof Outcome)) return json(200, endpoint.filters ? filtered(found, query) : found, query);
  if (found.body === undefined) {
    return found.text === '' ? { status: found.status, body: '' } : sentence(found.status, found.text);
  }
  // As Consul's agent sends it: without a character set.
  if (query.one('format') === 'text') return { status: found.status, type: 'text/plain', body: found.text };
  return json(found.status, found.body, query);
}

function json(status: number, body: unknown, query: QueryParameters): Rendered {
  const text = query.has('pretty') ? `${JSON.stringify(body, undefined, 4)}\n` : JSON.stringify(body);
  return { status, type: 'application/json', body: text };
}

function filtered(found: unknown, query: QueryParameters): unknown {
  if (Array.isArray(found)) return query.filtered(found);
  const entries = Object.entries(found as Record<string, unknown>);
  const kept = new Set(query.filtered(entries.map(([, value]) => value)));
  return Object.fromEntries(entries.filter(([, value]) => kept.has(value)));
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64');

const withHeaders = (answer: HttpAnswer, headers: Record<string, string>): HttpAnswer => ({
  ...answer,
  headers: { ...answer.headers, ...headers },
});
