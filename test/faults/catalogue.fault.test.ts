import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from 'dns-packet';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digShort } from '../support/dig.ts';
import { freePort } from '../support/ports.ts';
import type { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import type { Holding } from './shims/probe.ts';
import { holding, shim, soon, start } from './support.ts';

const SEED = Number(process.env.FAULTS_SEED ?? Math.floor(Math.random() * 1_000_000_000));
const SERVICE = 'web.service.consul';

let docker: SimulatedDocker;
let registrator: Registrator;
let http: number;
let dns: number;
let before: Holding;

beforeAll(async () => {
  console.info(`seed ${SEED}`);
  docker = await new SimulatedDocker().up();
  docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
  [http, dns] = [await freePort(), await freePort()];
  registrator = start(docker.host, [`memory://127.0.0.1:${http}?dns=${dns}`], shim('probe'));
  await soon(answers);
  before = await holding(registrator);
});
afterAll(async () => {
  await registrator[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
});

/** Others are answered: by DNS over UDP, and by HTTP over a new connection. */
async function answers(): Promise<void> {
  expect(await digShort(dns, SERVICE)).toEqual(['10.9.8.7']);
  const response = await fetch(`http://127.0.0.1:${http}/v1/catalog/service/web`, {
    headers: { Connection: 'close' },
    signal: AbortSignal.timeout(2_000),
  });
  expect(await response.json()).toMatchObject([{ ServiceID: 'simulated:aa:80' }]);
}

/** It has not grown, logged no error, and answers. */
async function isWell(): Promise<void> {
  await soon(answers);
  const now = await holding(registrator);
  expect(now.heapUsed / before.heapUsed).toBeLessThan(1.5);
  expect(now.rss - before.rss).toBeLessThan(150 * 2 ** 20);
  await soon(async () => expect((await holding(registrator)).descriptors).toBeLessThanOrEqual(before.descriptors + 4));
  expect(registrator.lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  await new Promise((settled) => socket.once('connect', settled).once('close', settled));
  return socket;
}

/** What a raw request is answered, until the server closes or so many milliseconds have passed. */
async function raw(bytes: string | Buffer, waitMs = 2_000): Promise<string> {
  const socket = await open(http);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(bytes);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await Promise.race([closed, sleep(waitMs)]);
  socket.destroy();
  return Buffer.concat(chunks).toString('latin1');
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);

const label = fc.string({ maxLength: 20 });
/** A query as a client sends it, changed in a few bytes, cut, or followed by more. */
const almostQuery = fc
  .record({
    name: fc.oneof(
      fc.constantFrom(SERVICE, '_web._tcp.service.consul', 'consul', ''),
      fc.array(label).map((l) => l.join('.')),
    ),
    type: fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'TXT', 'SOA', 'NS', 'PTR', 'CNAME'),
    changes: fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }),
    cut: fc.option(fc.nat(60), { nil: undefined, freq: 4 }),
    more: fc.uint8Array({ maxLength: 40 }),
  })
  .map(({ name, type, changes, cut, more }) => {
    const packet = Buffer.concat([queryFor(name, type), more]);
    for (const [at, byte] of changes) if (at < packet.length) packet[at] = byte;
    return packet.subarray(0, cut);
  });

function queryFor(name: string, type: string): Buffer {
  try {
    return encode({ type: 'query', id: 1, questions: [{ name, type: type as 'A' }] });
  } catch {
    return Buffer.from(name);
  }
}

const packet = fc.oneof(
  { weight: 3, arbitrary: almostQuery },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)) },
);

/** A name that is nothing but pointers to itself, and one of pointers in a circle. */
const loops = ['c00c', '0161c00c', 'c00ec00c', '3f'].map((name) =>
  Buffer.from(`000101000001000000000000${name}00010001`, 'hex'),
);

describe('DNS', () => {
  it('20,000 malformed packets over UDP', async () => {
    const socket = createSocket('udp4');
    socket.on('message', () => {});
    const packets = [...loops, ...fc.sample(packet, { seed: SEED, numRuns: 20_000 })];
    for (const [n, bytes] of packets.entries()) {
      await new Promise((sent) => socket.send(bytes, dns, '127.0.0.1', sent));
      // What it cannot keep up with, the kernel drops.
      if (n % 2_000 === 0) await soon(answers);
    }
    socket.close();
    await isWell();
  });

  it('2,000 malformed messages over TCP, framed rightly and not', async () => {
    for (let n = 0; n < 100; n += 1) {
      const socket = await open(dns);
      for (const bytes of fc.sample(packet, { seed: SEED + n, numRuns: 20 })) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(n % 3 === 0 ? (bytes.length * 7) % 65_536 : bytes.length);
        socket.write(Buffer.concat([length, bytes]));
      }
      socket.end();
      socket.resume();
      await Promise.race([new Promise((closed) => socket.once('close', closed)), sleep(100)]);
      socket.destroy();
    }
    await isWell();
  });

  it('400 TCP clients that send a byte and no more: others are answered, and these are closed', async () => {
    const clients = await Promise.all(Array.from({ length: 400 }, () => open(dns)));
    for (const client of clients) if (!client.destroyed) client.write(Buffer.of(0));
    await answers();
    const left = () => clients.filter((client) => !client.resume().destroyed).length;
    await soon(() => expect(left()).toBe(0), { deadlineMs: 15_000 });
    expect(await digShort(dns, SERVICE, '+tcp')).toEqual(['10.9.8.7']);
    await isWell();
  });

  it('a TCP client that asks 100,000 times and never reads is not buffered for', async () => {
    const client = await open(dns);
    const query = encode({ type: 'query', id: 1, questions: [{ name: SERVICE, type: 'SRV' }] });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    const thousand = Buffer.concat(Array(1_000).fill(Buffer.concat([length, query])));
    for (let n = 0; n < 100 && !client.destroyed; n += 1) client.write(thousand);
    await sleep(500);
    expect((await holding(registrator)).rss - before.rss).toBeLessThan(150 * 2 ** 20);
    await answers();
    client.destroy();
    await isWell();
  });
});

describe('HTTP', () => {
  it('2,000 connections that say nothing, and 8,000 more that would not fit: others are answered before long', async () => {
    const clients = await Promise.all(Array.from({ length: 2_000 }, () => open(http)));
    await answers();
    const more = await Promise.all(Array.from({ length: 8_000 }, () => open(http)));
    // At its limit it refuses; those that say nothing have to go, with no help of theirs.
    await soon(answers, { deadlineMs: 45_000, everyMs: 500 });
    for (const client of [...clients, ...more]) client.destroy();
    await isWell();
  });

  it('300 clients that send a header a second (slow loris): others are answered, and these are closed', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, () => open(http)));
    for (const client of clients) client.resume().write('GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\n');
    const trickle = setInterval(() => {
      for (const client of clients) if (!client.destroyed) client.write('X-A: b\r\n');
    }, 1_000);
    try {
      await answers();
      const left = () => clients.filter(({ destroyed }) => !destroyed).length;
      await soon(() => expect(left()).toBe(0), { deadlineMs: 45_000, everyMs: 500 });
    } finally {
      clearInterval(trickle);
    }
    await isWell();
  });

  it('headers, paths and bodies beyond all bounds are refused', async () => {
    const get = 'GET / HTTP/1.1\r\nHost: localhost\r\n';
    expect(statusOf(await raw(`${get}X-Huge: ${'x'.repeat(100_000)}\r\n\r\n`))).toBe(431);
    expect(statusOf(await raw(`${get}${'X-Many: x\r\n'.repeat(20_000)}\r\n`))).toBe(431);
    expect(statusOf(await raw(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`))).toBe(431);
    const put = 'PUT /v1/agent/check/update/service:x HTTP/1.1\r\nHost: localhost\r\n';
    expect(statusOf(await raw(`${put}Content-Length: 100000000\r\n\r\n`))).toBe(413);
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    expect(statusOf(await raw(`${put}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(40)}`))).toBe(413);
    await isWell();
  });

  it.each([
    '/../../../../etc/passwd',
    '/v1/../../../etc/passwd',
    '/v1/catalog/service/../../../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/v1/catalog/service/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/v1/catalog/service/%00',
    '/v1/catalog/service/%c0%ae%c0%ae',
    '/v1/catalog/service/%',
    '/v1/catalog/service/%E0%A4%A',
    '//etc/passwd',
    '/\\..\\..\\etc\\passwd',
    'http://example.invalid/etc/passwd',
    '*',
    '/v1/catalog/service/__proto__',
    '/v1/catalog/services?__proto__[x]=1&constructor=2',
    '/v1/health/service/web?filter=((((((((((',
    '/v1/health/service/web?index=-1&wait=99999999h',
    '/v1/health/service/web?index=1e400&wait=-1s',
  ])('path %s shows nothing and breaks nothing', async (path) => {
    const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(statusOf(answer)).toBeGreaterThanOrEqual(200);
    expect(statusOf(answer)).toBeLessThan(500);
    expect(answer).not.toContain('root:');
    await answers();
  });

  it('5,000 requests that are almost one', async () => {
    const request = fc
      .tuple(
        fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'TRACE', 'CONNECT', 'OPTIONS', 'get', '', 'PRI', 'BREW'),
        fc.oneof(
          fc.constantFrom('/', '/v1/catalog/services', '/v1/health/service/web?passing'),
          fc.webPath(),
          fc.string(),
        ),
        fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', ''),
        fc.array(
          fc.oneof(
            fc.string(),
            fc.constantFrom(
              'Host: localhost',
              'Content-Length: 5',
              'Content-Length: -1',
              'Transfer-Encoding: chunked',
              'Expect: 100-continue',
              'Upgrade: websocket',
              'Connection: Upgrade',
              'Connection: close',
            ),
          ),
          { maxLength: 5 },
        ),
        fc.string(),
      )
      .map(
        ([method, path, version, headers, body]) =>
          `${method} ${path} ${version}\r\n${headers.join('\r\n')}\r\n\r\n${body}`,
      );
    const requests = fc.sample(request, { seed: SEED, numRuns: 5_000 });
    for (let at = 0; at < requests.length; at += 100) {
      // Whatever waits for more would wait for long: a moment is enough for an answer.
      await Promise.all(requests.slice(at, at + 100).map((bytes) => raw(bytes, 30)));
    }
    await isWell();
  });

  it('1,000 blocking queries that wait, cut off at once', async () => {
    const clients = await Promise.all(Array.from({ length: 1_000 }, () => open(http)));
    const { headers } = await fetch(`http://127.0.0.1:${http}/v1/catalog/services`);
    const index = headers.get('X-Consul-Index');
    for (const client of clients) {
      client.write(`GET /v1/catalog/services?wait=10m&index=${index} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    }
    await answers();
    for (const client of clients) client.destroy();
    await isWell();
  });
});
