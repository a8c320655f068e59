import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkGrpc } from '../../src/catalogue/checks/grpc.ts';
import { checkHttp } from '../../src/catalogue/checks/http.ts';
import { Reaper } from '../../src/catalogue/checks/reaper.ts';
import { CheckRunner } from '../../src/catalogue/checks/runner.ts';
import { Slots } from '../../src/catalogue/checks/slots.ts';
import { checkTcp } from '../../src/catalogue/checks/tcp.ts';
import { Store } from '../../src/catalogue/index.ts';
import type { Check } from '../../src/services/index.ts';
import { makeCertificates } from '../support/certificates.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

const never = new AbortController().signal;
const ID = 'node1:redis:6379';

let store: Store;
let runner: CheckRunner;
const closing: (() => void)[] = [];

beforeEach(() => {
  store = new Store({ name: 'node1', address: '10.0.0.9' });
  runner = new CheckRunner(store, pino({ level: 'silent' }));
  runner.start();
});
afterEach(() => {
  runner.close();
  for (const close of closing.splice(0)) close();
});

/** @returns its port */
async function listening(server: Server | Http2Server | ReturnType<typeof createTcp>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.close();
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function http(handler: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listening(createServer(handler))}/health`;
}

const status = () => store.get(ID)?.checks[0]?.status;
const output = () => store.get(ID)?.checks[0]?.output;

test.each([
  [200, 'passing'],
  [204, 'passing'],
  [299, 'passing'],
  [429, 'warning'],
  [404, 'critical'],
  [500, 'critical'],
])('HTTP status %i is %s', async (code, expected) => {
  const url = await http((_, response) => response.writeHead(code).end(code === 204 ? undefined : 'well'));
  expect(await checkHttp({ type: 'http', url }, never)).toMatchObject({
    status: expected,
    output: expect.stringContaining(`HTTP GET ${url}: ${code} `),
  });
});

test('an HTTP check uses its method and headers', async () => {
  const seen: unknown[] = [];
  const url = await http((request, response) => {
    seen.push([request.method, request.url, request.headers['x-a'], request.headers.host]);
    response.end('ok');
  });
  const headers = { 'X-A': ['1', '2'], Host: ['shop.example'] };
  expect((await checkHttp({ type: 'http', url, method: 'HEAD', headers }, never)).status).toBe('passing');
  expect(seen).toEqual([['HEAD', '/health', '1, 2', 'shop.example']]);
});

test('an HTTP check follows redirects, and not for ever', async () => {
  const url = await http((request, response) => {
    if (request.url === '/there') response.end('ok');
    else response.writeHead(302, { location: request.url === '/health' ? '/there' : '/loop' }).end();
  });
  expect((await checkHttp({ type: 'http', url }, never)).status).toBe('passing');
  await expect(checkHttp({ type: 'http', url: url.replace('health', 'loop') }, never)).rejects.toThrow('redirects');
});

test('an HTTP check follows no redirect to another server, nor shows what it says', async () => {
  const asked: string[] = [];
  const other = await http((request, response) => {
    asked.push(request.url ?? '');
    response.end('secret');
  });
  const url = await http((_, response) => response.writeHead(302, { location: other }).end('moved'));
  const { status, output } = await checkHttp({ type: 'http', url }, never);
  expect([status, asked]).toEqual(['critical', []]);
  expect(output).toBe(`HTTP GET ${url}: 302 Found Output: a redirect to another server, which is not followed`);
});

test.each([
  '169.254.169.254',
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '0xa9fea9fe',
  '2852039166',
  '[fe80::1]',
])('no check goes to %s, which is link-local', async (host) => {
  const late = AbortSignal.timeout(5_000);
  await expect(checkHttp({ type: 'http', url: `http://${host}/` }, late)).rejects.toThrow('link-local');
  await expect(checkTcp(`${host}:80`, late)).rejects.toThrow('link-local');
  await expect(checkGrpc({ type: 'grpc', target: `${host}:80`, useTls: false }, late)).rejects.toThrow('link-local');
});

test('a check of an address that only a label names is not made, unless --check-any-address', async () => {
  const url = await http((_, response) => response.end('ok'));
  store.put(service({ check: { type: 'http', url }, elsewhere: true }));
  expect(status()).toBe('critical');
  expect(output()).toMatch(/^no check is made of .*; --check-any-address allows it$/);
  const free = new Store({ name: 'node1', address: '10.0.0.9' });
  const anywhere = new CheckRunner(free, pino({ level: 'silent' }), true);
  anywhere.start();
  closing.push(() => anywhere.close());
  free.put(service({ check: { type: 'http', url }, elsewhere: true }));
  await eventually(() => free.get(ID)?.status === 'passing');
});

test('an HTTP check reads no more than the beginning of an endless answer', async () => {
  const url = await http((_, response) => {
    const timer = setInterval(() => response.write('x'.repeat(1000)), 1);
    response.on('close', () => clearInterval(timer));
  });
  const health = await checkHttp({ type: 'http', url }, never);
  expect(health.status).toBe('passing');
  expect(health.output.length).toBeLessThan(4300);
});

test('an HTTPS check wants a certificate that it can trust, unless told otherwise', async () => {
  await using certificates = await makeCertificates();
  const [cert, key] = [readFileSync(certificates.serverCert), readFileSync(certificates.serverKey)];
  const port = await listening(createHttps({ cert, key }, (_, response) => response.end('ok')));
  const url = `https://127.0.0.1:${port}/`;
  expect(await checkHttp({ type: 'http', url, tlsSkipVerify: true }, never)).toMatchObject({ status: 'passing' });
  await expect(checkHttp({ type: 'http', url }, never)).rejects.toThrow(/certificate/);
});

test('a TCP check passes where something listens', async () => {
  const port = await listening(createTcp((socket) => socket.destroy()));
  expect(await checkTcp(`127.0.0.1:${port}`, never)).toEqual({
    status: 'passing',
    output: `TCP connect 127.0.0.1:${port}: Success`,
  });
  await expect(checkTcp(`127.0.0.1:${await freePort()}`, never)).rejects.toThrow('ECONNREFUSED');
  await expect(checkTcp('nonsense', never)).rejects.toThrow('the target "nonsense" is no host:port');
  await expect(checkTcp('127.0.0.1:0', never)).rejects.toThrow('no host:port');
});

/** A server of grpc.health.v1: what it answers for each service name. */
async function grpc(states: Readonly<Record<string, number>>): Promise<string> {
  const server = createHttp2();
  server.on('stream', async (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    const request = Buffer.concat(chunks);
    const name = request.length > 5 ? request.subarray(7).toString() : '';
    const state = headers[':path'] === '/grpc.health.v1.Health/Check' ? states[name] : undefined;
    if (state === undefined) {
      stream.respond({ ':status': 200, 'grpc-status': '5', 'grpc-message': 'unknown service' }, { endStream: true });
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from(state === 0 ? [0, 0, 0, 0, 0] : [0, 0, 0, 0, 2, 0x08, state]));
  });
  return `127.0.0.1:${await listening(server)}`;
}

test('a gRPC check passes where the server says that it serves', async () => {
  const target = await grpc({ '': 1, shop: 1, down: 2, unsure: 0 });
  const check = (service: string) =>
    checkGrpc({ type: 'grpc', target: `${target}${service}`, useTls: false }, never).catch(String);
  expect(await check('')).toEqual({ status: 'passing', output: `gRPC check ${target}: SERVING` });
  expect(await check('/shop')).toEqual({ status: 'passing', output: `gRPC check ${target}/shop: SERVING` });
  expect(await check('/down')).toEqual({ status: 'critical', output: `gRPC check ${target}/down: NOT_SERVING` });
  expect(await check('/unsure')).toMatchObject({ status: 'critical' });
  expect(await check('/other')).toBe('Error: gRPC status 5: unknown service');
});

test('a gRPC check of what is no gRPC server fails in words', async () => {
  const port = await listening(createTcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
  const check = { type: 'grpc', target: `127.0.0.1:${port}`, useTls: false } as const;
  await expect(checkGrpc(check, AbortSignal.timeout(2000))).rejects.toThrow(/.+/);
  const none = { type: 'grpc', target: `127.0.0.1:${await freePort()}`, useTls: false } as const;
  await expect(checkGrpc(none, AbortSignal.timeout(2000))).rejects.toThrow('ECONNREFUSED');
});

test('a service is critical until its check passed, and follows it from then on', async () => {
  let code = 200;
  const url = await http((_, response) => response.writeHead(code).end('body'));
  store.put(service({ check: { type: 'http', url, interval: '1s' } }));
  expect(status()).toBe('critical');
  await eventually(() => status() === 'passing');
  expect(output()).toBe(`HTTP GET ${url}: 200 OK Output: body`);
  code = 503;
  await eventually(() => status() === 'critical');
  code = 429;
  await eventually(() => status() === 'warning');
});

test('a server that does not answer in time is critical', async () => {
  const url = await http(() => {});
  store.put(service({ check: { type: 'http', url, timeout: '100ms', initialStatus: 'passing' } }));
  await eventually(() => status() === 'critical');
  expect(output()).toBe('no answer within 100 ms');
});

test('a gRPC or TCP server that does not answer in time is critical', async () => {
  const target = `127.0.0.1:${await listening(createTcp(() => {}))}`;
  store.put(service({ check: { type: 'grpc', target, useTls: false, timeout: '100ms', initialStatus: 'passing' } }));
  await eventually(() => status() === 'critical');
  expect(output()).toBe('no answer within 100 ms');
});

test('a check whose definition is nonsense is critical, and says why', async () => {
  const nonsense: Check[] = [
    { type: 'tcp', target: 'x', initialStatus: 'passing' },
    { type: 'http', url: 'nonsense', initialStatus: 'passing' },
    { type: 'http', url: 'ftp://x', initialStatus: 'passing' },
    { type: 'grpc', target: '', useTls: false, initialStatus: 'passing' },
  ];
  for (const check of nonsense) {
    store.put(service({ check }));
    await eventually(() => status() === 'critical');
    expect(output()).toMatch(/\w+/);
  }
});

test('a check that is changed or gone is asked no more', async () => {
  let asked = 0;
  const url = await http((_, response) => {
    asked += 1;
    response.end();
  });
  store.put(service({ check: { type: 'http', url, interval: '1s' } }));
  await eventually(() => asked > 0);
  store.remove(ID);
  const after = asked;
  await new Promise((resolve) => setTimeout(resolve, 1300));
  expect(asked).toBe(after);
});

test('a TTL check is what the application says, and critical when it is silent', async () => {
  store.put(service({ check: { type: 'ttl', ttl: '300ms' } }));
  expect(status()).toBe('critical');
  expect(runner.report(`service:${ID}`, 'passing', 'fine')).toBe(true);
  expect([status(), output()]).toEqual(['passing', 'fine']);
  await eventuallyPasses(() => expect([status(), output()]).toEqual(['critical', 'TTL expired']));
  expect(runner.report(`service:${ID}`, 'warning', '')).toBe(true);
  expect(status()).toBe('warning');
});

test('nobody reports for a check that is none of a TTL', () => {
  store.put(service({ check: { type: 'docker', ttl: '60s' } }));
  expect(runner.report(`service:${ID}`, 'passing', '')).toBe(false);
  expect(runner.report('service:none', 'passing', '')).toBe(false);
  expect(runner.report('none', 'passing', '')).toBe(false);
});

test('checks that were there before the start are run', async () => {
  const url = await http((_, response) => response.end());
  const early = new Store({ name: 'node1', address: '10.0.0.9' });
  early.put(service({ check: { type: 'http', url } }));
  const late = new CheckRunner(early, pino({ level: 'silent' }));
  late.start();
  await eventually(() => early.get(ID)?.status === 'passing');
  late.close();
});

test('no more tasks run at once than there are slots, and one that left the queue does not run', async () => {
  const slots = new Slots(2, 2);
  const running: (() => void)[] = [];
  const task = () => new Promise<void>((resolve) => running.push(resolve));
  const stop = new AbortController();
  const all = [1, 2, 3].map(() => slots.run('a', never, task));
  const left = slots.run('a', stop.signal, () => Promise.reject(new Error('ran')));
  await new Promise(setImmediate);
  expect(running).toHaveLength(2);
  stop.abort();
  await left;
  running.shift()?.();
  await eventually(() => running.length === 2);
  for (const end of running) end();
  await Promise.all(all);
  await slots.run('a', never, async () => {});
});

test('slots go to the one with the fewest tasks, however many another has waiting', async () => {
  const slots = new Slots(4, 3);
  const running: { readonly group: string; readonly end: () => void }[] = [];
  const run = (group: string) =>
    slots.run(group, never, () => new Promise<void>((resolve) => running.push({ group, end: resolve })));
  const all = Array.from({ length: 20 }, () => run('many'));
  await new Promise(setImmediate);
  expect(running.map(({ group }) => group)).toEqual(['many', 'many', 'many']);
  all.push(run('few'), run('few'), run('other'));
  await eventually(() => running.length === 4);
  running[0]?.end();
  await eventually(() => running.length === 5);
  expect(running.map(({ group }) => group).slice(3)).toEqual(['few', 'other']);
  const rest = setInterval(() => {
    for (const { end } of running) end();
  }, 1);
  await Promise.all(all);
  clearInterval(rest);
  expect(running).toHaveLength(23);
});

test('a service that stays critical for as long as it asks is taken out, one that recovers stays', async () => {
  const reaper = new Reaper(store, pino({ level: 'silent' }), 200);
  reaper.start();
  closing.push(() => reaper.close());
  const check = { type: 'ttl', ttl: '10s', deregisterAfter: '1ms' } as const;
  store.put(service({ id: 'a', check }));
  store.put(service({ id: 'b', check }));
  store.put(service({ id: 'c', check: { type: 'ttl', ttl: '10s' } }));
  runner.report('service:b', 'passing', '');
  expect(store.size).toBe(3);
  await eventually(() => store.get('a') === undefined);
  expect([store.get('b')?.status, store.get('c')?.status]).toEqual(['passing', 'critical']);
});
