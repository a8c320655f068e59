import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import { type Board, followStore, pageRoutes, type Row } from '../../src/catalogue/page/index.ts';
import { Store } from '../../src/catalogue/store.ts';
import type { HttpServer } from '../../src/lib/http-server.ts';
import { opsServer } from '../../src/ops/http.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { service } from '../support/service.ts';

let store: Store;
let board: Board;
let server: HttpServer;
let base: string;
const stop: AbortController[] = [];

beforeEach(async () => {
  store = new Store({ name: 'node1', address: '10.0.0.9' });
  const following = new AbortController();
  stop.push(following);
  board = followStore(store, () => ({ domain: 'consul', port: 8600 }), following.signal);
  server = opsServer([], pageRoutes(board));
  await server.listen('127.0.0.1', 0);
  base = `http://127.0.0.1:${server.port}`;
});
afterEach(async () => {
  for (const each of stop.splice(0)) each.abort();
  await server.close();
});

interface Message {
  readonly all?: boolean;
  readonly node: string;
  readonly rows: Row[];
  readonly gone: string[];
  readonly recent: { kind: string; container: string; after?: number }[];
  readonly registries: unknown[];
}

/** The messages of the event stream so far. */
async function watch(): Promise<{ messages: Message[]; end: () => void }> {
  const abort = new AbortController();
  stop.push(abort);
  const response = await fetch(`${base}/ui/events`, { signal: abort.signal });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  const messages: Message[] = [];
  void (async () => {
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const data = part.split('\n').find((line) => line.startsWith('data: '));
        if (data !== undefined) messages.push(JSON.parse(data.slice(6)));
      }
    }
  })().catch(() => undefined);
  await eventually(() => messages.length > 0);
  return { messages, end: () => abort.abort() };
}

test('the page and its parts are served with a policy that asks nobody else for anything', async () => {
  for (const [path, type] of [
    ['/ui/', 'text/html; charset=utf-8'],
    ['/ui/page.css', 'text/css; charset=utf-8'],
    ['/ui/page.js', 'text/javascript; charset=utf-8'],
    ['/ui/icon.svg', 'image/svg+xml'],
  ]) {
    const response = await fetch(base + path);
    const { headers } = response;
    expect([path, response.status, headers.get('content-type')]).toEqual([path, 200, type]);
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.text()).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
  }
  const html = await (await fetch(`${base}/ui/`)).text();
  expect(html).not.toMatch(/<script(?![^>]* src=)|style=|onclick/);
  expect((await fetch(`${base}/ui`, { redirect: 'manual' })).headers.get('location')).toBe('ui/');
  expect((await fetch(`${base}/ui/../../package.json`)).status).toBe(404);
  expect((await fetch(`${base}/ui/%2e%2e/board.ts`)).status).toBe(404);
});

test('the stream begins with all there is, and goes on with what changed', async () => {
  store.put(service({ id: 'a', name: 'web', tags: ['x'], check: { type: 'ttl', ttl: '1h' } }));
  const { messages } = await watch();
  expect(messages[0]).toMatchObject({
    all: true,
    node: 'node1',
    catalogue: true,
    dns: { domain: 'consul', port: 8600 },
    gone: [],
    rows: [
      {
        key: 'a',
        service: 'web',
        address: '10.0.0.1',
        port: 32768,
        protocol: 'tcp',
        tags: ['x'],
        health: 'critical',
        checks: [{ what: 'ttl 1h', status: 'critical', output: 'No check has answered yet.' }],
        exposedPort: 6379,
        healthSince: expect.closeTo(Date.now(), -5),
        container: 'redis',
        containerId: 'redis-000000',
        image: 'redis',
        since: 1000,
        fromSnapshot: false,
      },
    ],
  });
  store.setCheck('a', 'passing', 'fine');
  store.put(service({ id: 'b' }));
  store.remove('a');
  await eventually(() => messages.length === 2);
  expect(messages[1]).toMatchObject({ rows: [{ key: 'b', health: 'none' }], gone: ['a'] });
  expect(messages[1]?.recent.map(({ kind }) => kind)).toEqual(['gone', 'up', 'passing', 'up']);
});

test('what comes from the snapshot is marked until it is confirmed, and is no news', () => {
  store.restore(service({ id: 'a', name: 'web' }));
  expect(board.row('a')?.fromSnapshot).toBe(true);
  store.put(service({ id: 'a', name: 'web' }));
  expect(board.row('a')?.fromSnapshot).toBe(false);
  expect(board.recent).toEqual([]);
});

test('twenty changes are remembered', () => {
  for (let i = 0; i < 50; i++) store.put(service({ id: `id-${i}`, container: `c-${i}` }));
  expect(board.recent).toHaveLength(20);
});

test('a reader that does not read costs no memory, and gets the latest once it does', async () => {
  for (let i = 0; i < 500; i++) store.put(service({ id: `id-${i}`, tags: ['x'.repeat(500)] }));
  const { port } = new URL(base);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.pause();
  socket.write('GET /ui/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually(() => board.watchers === 1);
  const before = process.memoryUsage.rss();
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 500; i++) store.put(service({ id: `id-${i}`, port: round + 1, tags: ['x'.repeat(500)] }));
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect((process.memoryUsage.rss() - before) / 1e6).toBeLessThan(150);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-1_000_000);
  });
  socket.resume();
  await eventually(() => text.includes('"port":40'));
  socket.destroy();
  await eventually(() => board.watchers === 0);
});

test('a hundred may watch, and who goes away leaves nothing behind', async () => {
  const watching = await Promise.all(Array.from({ length: 100 }, () => watch()));
  expect((await fetch(`${base}/ui/events`)).status).toBe(503);
  for (const { end } of watching) end();
  await eventuallyPasses(() => expect(board.watchers).toBe(0));
  await watch();
});

test('a browser is sent on from the address itself, a program is not', async () => {
  const catalogue = new Catalogue({
    nodeName: 'node1',
    http: { host: '127.0.0.1', port: 0 },
    log: pino({ level: 'silent' }),
  });
  await catalogue.start();
  const get = (accept: string) =>
    fetch(`http://127.0.0.1:${catalogue.httpPort}/`, { headers: { accept }, redirect: 'manual' });
  const sent = await get('text/html,application/xhtml+xml,*/*;q=0.8');
  expect([sent.status, sent.headers.get('location'), sent.headers.get('vary')]).toEqual([302, 'ui/', 'Accept']);
  expect([(await get('*/*')).status, (await get('application/json')).status]).toEqual([200, 200]);
  await catalogue.stop();
});
