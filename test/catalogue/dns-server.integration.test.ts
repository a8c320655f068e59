import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decode, encode, streamEncode } from 'dns-packet';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DnsServer } from '../../src/catalogue/dns/server.ts';
import { Store } from '../../src/catalogue/index.ts';
import { dig, digShort } from '../support/dig.ts';
import { eventually } from '../support/eventually.ts';
import { service } from '../support/service.ts';

let store: Store;
let server: DnsServer;

beforeEach(async () => {
  store = new Store({ name: 'node1', address: '10.0.0.9' });
  server = new DnsServer(store, {
    host: '127.0.0.1',
    port: 0,
    domain: 'consul',
    ttl: 0,
    log: pino({ level: 'silent' }),
  });
  await server.listen();
});
afterEach(() => server.close());

function putHundred(): void {
  for (let i = 0; i < 100; i++) store.put(service({ id: `id-${i}`, address: `10.0.1.${i}`, port: 1000 + i }));
}

const query = (name: string) => ({ type: 'query' as const, id: 1, questions: [{ name, type: 'A' as const }] });

/** The length of the first whole reply, or -1 until it is there. */
function framed(bytes: Buffer): number {
  return bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0) ? bytes.readUInt16BE(0) : -1;
}

async function open(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

test('dig and the resolver of Node find a service, over UDP and over TCP, until it is gone', async () => {
  store.put(service({ tags: ['master'] }));
  expect(await digShort(server.port, 'redis.service.consul')).toEqual(['10.0.0.1']);
  expect(await digShort(server.port, 'master.redis.service.dc1.consul', '+tcp')).toEqual(['10.0.0.1']);
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.port}`]);
  expect(await resolver.resolve4('redis.service.consul')).toEqual(['10.0.0.1']);
  expect(await resolver.resolveSrv('_redis._tcp.service.consul')).toEqual([
    expect.objectContaining({ name: '0a000001.addr.dc1.consul', port: 32768, priority: 1, weight: 1 }),
  ]);
  store.remove('node1:redis:6379');
  expect(await dig(server.port, 'redis.service.consul')).toMatchObject({
    status: 'NXDOMAIN',
    authority: [{ name: 'consul.', type: 'SOA' }],
  });
  await expect(resolver.resolve4('redis.service.consul')).rejects.toMatchObject({ code: 'ENOTFOUND' });
});

test('100 instances: cut whole over plain UDP, all of them after the retry over TCP', async () => {
  putHundred();
  const cut = await dig(server.port, 'redis.service.consul', '-t', 'SRV', '+noedns', '+ignore');
  expect(cut.flags).toContain('tc');
  expect(cut.answer.length).toBeGreaterThan(5);
  const edns = await dig(server.port, 'redis.service.consul', '+bufsize=4096', '+ignore');
  expect(edns.flags).toContain('tc');
  expect(edns.answer).toHaveLength(73);
  const whole = await dig(server.port, 'redis.service.consul', '-t', 'SRV', '+noedns');
  expect(whole.flags).not.toContain('tc');
  expect(whole.answer).toHaveLength(100);
  expect(whole.additional).toHaveLength(100);
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.port}`]);
  expect(await resolver.resolveSrv('redis.service.consul')).toHaveLength(100);
});

test('another name server is asked with an error, a newer EDNS gets version 0', async () => {
  expect((await dig(server.port, 'example.com')).status).toBe('REFUSED');
  const raw = await dig(server.port, 'consul', '+edns=1', '+noednsneg');
  expect(raw.status).toBe('BADVERS');
  expect((await dig(server.port, '+opcode=UPDATE', 'consul')).status).toBe('NOTIMP');
});

test('a TCP connection carries several queries, however its bytes are cut', async () => {
  store.put(service());
  const socket = await open();
  const bytes = Buffer.concat([
    streamEncode(query('redis.service.consul')),
    streamEncode(query('gone.service.consul')),
  ]);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  for (const byte of bytes) {
    socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  const [first, second] = await eventually(() => {
    const all = Buffer.concat(chunks);
    const length = framed(all);
    const next = length < 0 ? Buffer.alloc(0) : all.subarray(2 + length);
    return framed(next) < 0 ? undefined : [all.subarray(2, 2 + length), next.subarray(2)];
  });
  expect(decode(first ?? Buffer.alloc(0))).toMatchObject({ rcode: 'NOERROR', answers: [{ data: '10.0.0.1' }] });
  expect(decode(second ?? Buffer.alloc(0))).toMatchObject({ rcode: 'NXDOMAIN' });
  socket.destroy();
});

test('a TCP client that sends too long a message is cut off', async () => {
  const socket = await open();
  socket.resume();
  socket.write(Buffer.of(0xff, 0xff));
  await once(socket, 'close');
});

test('a TCP client that asks and never reads is no longer read from, and the others are served', {
  timeout: 30_000,
}, async () => {
  putHundred();
  const greedy = await open();
  greedy.pause();
  const block = Buffer.concat(Array.from({ length: 2_000 }, () => streamEncode(query('redis.service.consul'))));
  // What the kernel keeps between the two is filled when nothing was taken for a while.
  let stuck = 0;
  await eventually(
    () => {
      if (greedy.writableLength === 0) {
        stuck = 0;
        greedy.write(block);
      } else stuck += 1;
      return stuck > 20;
    },
    { everyMs: 20, deadlineMs: 20_000 },
  );
  expect(await digShort(server.port, 'redis.service.consul', '+tcp')).toHaveLength(100);
  greedy.destroy();
});

test('packets that are none leave the server well', async () => {
  store.put(service());
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  for (const bytes of [Buffer.alloc(0), Buffer.from('no DNS at all'), encode(query('x')).subarray(0, 14)]) {
    socket.send(bytes, server.port, '127.0.0.1');
  }
  expect(await digShort(server.port, 'redis.service.consul')).toEqual(['10.0.0.1']);
  await new Promise<void>((closed) => socket.close(() => closed()));
});

test('closing ends open connections at once and frees the port', async () => {
  const socket = await open();
  socket.resume();
  const { port } = server;
  const closed = once(socket, 'close');
  await server.close();
  await closed;
  const next = new DnsServer(store, {
    host: '127.0.0.1',
    port,
    domain: 'consul',
    ttl: 0,
    log: pino({ level: 'silent' }),
  });
  await next.listen();
  expect(next.port).toBe(port);
  await next.close();
});
