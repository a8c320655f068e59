import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
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
    maxConnections: 400,
    names: () => ['registry.example.com'],
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
  const announced = connect(Number(new URL(base).port), '127.0.0.1');
  announced.write('PUT /put HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 11\r\n\r\n0');
  const [answer] = (await once(announced, 'data')) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1.1 413 /);
  await once(announced, 'close');
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
  socket.write('PUT /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n01');
  await once(socket, 'connect');
  socket.destroy();
  await fetch(`${base}/other`);
  expect(failures).toEqual([]);
});

test.each([
  ['127.0.0.1:8500', 200],
  ['[::1]', 200],
  ['localhost:1', 200],
  [hostname().toUpperCase(), 200],
  ['registry.example.com.:80', 200],
  ['rebound.example.org', 421],
  ['localhost.example.org', 421],
  ['', 421],
  ['127.0.0.1:x', 421],
  ['registry.example.com@evil', 421],
])('a request for the host "%s" is answered with %i', async (host, status) => {
  const base = new URL(await serve(echo('/')));
  const socket = connect(Number(base.port), base.hostname);
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect((await textOf(socket)).split(' ', 2)[1]).toBe(String(status));
});

test('a client with hundreds of connections keeps the newest 256, the busy ones first, and another client is answered', async () => {
  const base = new URL(await serve(echo('/'), { path: '/wait', answer: () => new Promise<never>(() => undefined) }));
  let ended = 0;
  const open = async (from: string, request: string) => {
    const socket = connect({ port: Number(base.port), host: base.hostname, localAddress: from });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      ended += 1;
    });
    await once(socket, 'connect');
    socket.write(request);
    return socket;
  };
  const sockets: Socket[] = [];
  try {
    const busy = await open('127.0.0.2', 'GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n');
    sockets.push(busy);
    for (let count = 0; count < 300; count += 1) sockets.push(await open('127.0.0.2', ''));
    await eventually(() => ended === 45);
    expect(busy.closed).toBe(false);
    for (let count = 0; count < 200; count += 1) sockets.push(await open('127.0.0.3', ''));
    // 400 in all: the one with the most makes room.
    await eventually(() => ended === 45 + 56);
    expect(busy.closed).toBe(false);
    expect(await text(`${base}`)).toBe('/ with ""');
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

async function textOf(socket: Socket): Promise<string> {
  let all = '';
  for await (const chunk of socket.setEncoding('utf8')) all += chunk;
  return all;
}
