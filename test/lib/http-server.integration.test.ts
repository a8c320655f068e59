import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type HttpRoute, sentence } from '../../src/lib/http/route.ts';
import { HttpServer } from '../../src/lib/http-server.ts';
import { eventually } from '../support/eventually.ts';

const servers: HttpServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

const failures: unknown[] = [];

async function serve(...routes: HttpRoute[]): Promise<string> {
  const server = new HttpServer(routes, {
    maxBody: 10,
    maxConnections: 100,
    otherwise: ({ method, path }) => sentence(404, `no ${method} ${path}`),
    failed: (error) => {
      failures.push(error);
      return sentence(500, (error as Error).message);
    },
  });
  servers.push(server);
  await server.listen('127.0.0.1', 0);
  return `http://127.0.0.1:${server.port}`;
}

const echo = (path: string): HttpRoute => ({ path, answer: ({ rest }) => sentence(200, `${path} with "${rest}"`) });
const text = async (url: string, init: RequestInit = {}) => (await fetch(url, init)).text();

test('an exact path comes before the longest beginning, which comes before a shorter one', async () => {
  const base = await serve(echo('/a'), echo('/a/*'), echo('/a/b/*'), echo('/*'));
  expect(await text(`${base}/a`)).toBe('/a with ""');
  expect(await text(`${base}/a/`)).toBe('/a/* with ""');
  expect(await text(`${base}/a/x%2Fy/z%20?q=1`)).toBe('/a/* with "x/y/z "');
  expect(await text(`${base}/a/b/c`)).toBe('/a/b/* with "c"');
  expect(await text(`${base}/other`)).toBe('/* with "other"');
  expect((await fetch(`${base}/a/%zz`)).status).toBe(400);
});

test('HEAD gets the head of GET, with its length, and no other method gets its answer', async () => {
  const base = await serve(echo('/a'));
  const head = await fetch(`${base}/a`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '10', '']);
  expect(await text(`${base}/a`, { method: 'POST' })).toBe('no POST /a');
});

test('what a route throws is an answer, and too long a body another', async () => {
  const base = await serve(
    {
      path: '/',
      answer: () => {
        throw new Error('out of order');
      },
    },
    { method: 'PUT', path: '/put', answer: ({ body }) => sentence(200, body) },
  );
  expect(await text(base)).toBe('out of order');
  expect(await text(`${base}/put`, { method: 'PUT', body: '0123456789' })).toBe('0123456789');
  expect((await fetch(`${base}/put`, { method: 'PUT', body: '0123456789a' })).status).toBe(413);
});

test('whoever waits for a client that went away is told, and an upload that breaks off is no failure', async () => {
  failures.length = 0;
  let waiting = 0;
  const base = await serve({
    path: '/wait',
    answer: async ({ signal }) => {
      waiting += 1;
      await once(signal, 'abort');
      waiting -= 1;
      return sentence(200, 'late');
    },
  });
  const stop = new AbortController();
  const gone = fetch(`${base}/wait`, { signal: stop.signal }).catch(() => undefined);
  await eventually(() => waiting === 1);
  stop.abort();
  await gone;
  await eventually(() => waiting === 0);

  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  socket.write('PUT /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n01');
  await once(socket, 'connect');
  socket.destroy();
  await fetch(`${base}/other`);
  expect(failures).toEqual([]);
});
