import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Place } from './client.ts';

/** The fetching loops of clients that Debian has no package of: what they ask, in their order and with their waits. */

interface Entry {
  readonly Service: { readonly Address: string };
}
interface Answer<T> {
  readonly index: number;
  readonly body: T | undefined;
}

/** As Consul's Go client: a 404 is "there is none", any other status an error; an index has to be there. */
async function get<T>(base: string, path: string, index: number, signal: AbortSignal): Promise<Answer<T>> {
  const query = index === 0 ? '' : `${path.includes('?') ? '&' : '?'}index=${index}`;
  const response = await fetch(`${base}${path}${query}`, { signal });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(`${response.status} ${text}`);
  const next = Number(response.headers.get('x-consul-index') ?? Number.NaN);
  if (Number.isNaN(next)) throw new Error('Failed to parse X-Consul-Index');
  return { index: next, body: response.ok ? (JSON.parse(text) as T) : undefined };
}

/**
 * consul-template: a view for each dependency. An answer with the same index is none; one with a lower index makes it
 * begin anew; at most ten questions a second; after an error 250 ms, twice as long each time, a minute at most.
 */
export function consulTemplate({ http }: Place): Client & { readonly asked: () => number } {
  const stop = new AbortController();
  const base = `http://127.0.0.1:${http}/v1`;
  const values = new Map<string, unknown>();
  let asked = 0;
  async function view(path: string): Promise<void> {
    let index = 0;
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        const began = performance.now();
        asked += 1;
        const answer = await get(base, `${path}stale=&wait=60000ms`, index, stop.signal);
        failures = 0;
        await sleep(Math.max(0, 100 - (performance.now() - began)), undefined, stop);
        if (answer.index < index) index = 0;
        else if (answer.index !== index) {
          index = answer.index;
          values.set(path, answer.body);
        }
      } catch {
        await sleep(Math.min(250 * 2 ** failures++, 60_000), undefined, stop).catch(() => undefined);
      }
    }
  }
  const paths = ['/health/service/web?passing=1&', '/kv/app/colour?', '/kv/app/?recurse=&', '/catalog/services?'];
  for (const path of paths) void view(path);
  return {
    name: 'consul-template',
    // It renders once each of its dependencies was answered: the key of `keyOrDefault` and the folder of `ls`, too.
    addresses: async () =>
      values.size < paths.length
        ? undefined
        : (values.get(paths[0] ?? '') as Entry[]).map(({ Service }) => Service.Address),
    asked: () => asked,
    stop: () => stop.abort(),
  };
}

/**
 * Prometheus' `consul_sd_configs` with `services: [web]` and `refresh_interval: 1s` (Debian's package is built without it):
 * one blocking query after the other, a second apart at the least; after an error it waits 15 s, and keeps its index.
 */
export function prometheus({ http }: Place): Client & { readonly asked: () => number } {
  const stop = new AbortController();
  const base = `http://127.0.0.1:${http}/v1`;
  let targets: readonly string[] | undefined;
  let asked = 0;
  void (async () => {
    for (let index = 0; !stop.signal.aborted; ) {
      const tick = sleep(1_000, undefined, stop).catch(() => undefined);
      try {
        asked += 1;
        const answer = await get<Entry[]>(base, '/health/service/web?stale=&wait=120000ms', index, stop.signal);
        if (answer.index !== index) targets = answer.body?.map(({ Service }) => Service.Address);
        index = answer.index;
      } catch {
        await sleep(15_000, undefined, stop).catch(() => undefined);
      }
      await tick;
    }
  })();
  return { name: 'Prometheus', addresses: async () => targets, asked: () => asked, stop: () => stop.abort() };
}

/**
 * fabio: the datacenter from the agent, then all checks in a blocking query, and the services of those that pass; beside
 * that its manual routes in the key-value store. After an error it waits a second, and keeps its index.
 */
export function fabio({ http }: Place): Client & { readonly asked: () => number } {
  const stop = new AbortController();
  const base = `http://127.0.0.1:${http}/v1`;
  let routes: readonly string[] | undefined;
  let asked = 0;
  async function follow<T>(path: string, changed: (body: T | undefined) => Promise<void>): Promise<void> {
    for (let index = 0; !stop.signal.aborted; ) {
      try {
        asked += 1;
        const answer = await get<T>(base, path, index, stop.signal);
        if (answer.index !== index) await changed(answer.body);
        index = answer.index;
      } catch {
        await sleep(1_000, undefined, stop).catch(() => undefined);
      }
    }
  }
  async function services(checks: { ServiceName: string; ServiceID: string; Status: string }[] = []): Promise<void> {
    const { body = [] } = await get<{ ServiceID: string; ServiceAddress: string }[]>(
      base,
      '/catalog/service/web?consistent=',
      0,
      stop.signal,
    );
    const bad = new Set(checks.filter(({ Status }) => Status !== 'passing').map(({ ServiceID }) => ServiceID));
    routes = body.filter(({ ServiceID }) => !bad.has(ServiceID)).map(({ ServiceAddress }) => ServiceAddress);
  }
  void (async () => {
    while (!stop.signal.aborted && !(await fetch(`${base}/agent/self`).catch(() => undefined))?.ok) await sleep(1_000);
    await Promise.all([
      follow('/health/state/any?consistent=', services),
      follow('/kv/fabio/config?consistent=&recurse=', async () => {}),
      follow('/kv/fabio/noroute.html?consistent=', async () => {}),
    ]);
  })();
  return { name: 'fabio', addresses: async () => routes, asked: () => asked, stop: () => stop.abort() };
}
