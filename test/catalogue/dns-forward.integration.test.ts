import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  type Answer,
  AUTHENTIC_DATA,
  decode,
  encode,
  type Packet,
  RECURSION_DESIRED,
  streamEncode,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Forwarder } from '../../src/catalogue/dns/forward/forwarder.ts';
import { readMessage } from '../../src/catalogue/dns/message.ts';
import { DnsServer } from '../../src/catalogue/dns/server.ts';
import { Store } from '../../src/catalogue/store.ts';
import { dig, digShort } from '../support/dig.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';
import { UpstreamServer } from './upstream-server.ts';

const silent = pino({ level: 'silent' });
const closing: (() => unknown)[] = [];
let upstream: UpstreamServer;
let store: Store;

beforeEach(async () => {
  upstream = await new UpstreamServer(({ packet }) => ({ answers: [a(packet.questions?.[0]?.name ?? '')] })).start();
  closing.push(() => upstream.stop());
  store = new Store({ name: 'node1', address: '10.0.0.9' });
  store.put(service());
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const a = (name: string, data = '192.0.2.7', ttl = 300): Answer => ({ type: 'A', name, data, ttl });
const soa = (ttl: number, minimum: number): Answer => ({
  type: 'SOA',
  name: 'example.com',
  ttl,
  data: { mname: 'ns.example.com', rname: 'x.example.com', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});

async function start(forward: { host: string; port: number }[] = [upstream.upstream]): Promise<DnsServer> {
  const server = new DnsServer(store, { host: '127.0.0.1', port: 0, domain: 'consul', ttl: 0, forward, log: silent });
  await server.listen();
  closing.push(() => server.close());
  return server;
}

/** One exchange over UDP, with whatever bytes. */
async function exchange(port: number, packet: Packet | Buffer): Promise<Buffer> {
  const socket = createSocket('udp4');
  try {
    socket.send(Buffer.isBuffer(packet) ? packet : encode(packet), port, '127.0.0.1');
    const [reply] = await once(socket, 'message', { signal: AbortSignal.timeout(8_000) });
    return reply;
  } finally {
    socket.close();
  }
}

const query = (name: string, over: Packet = {}): Packet => ({
  type: 'query',
  id: 7,
  flags: RECURSION_DESIRED,
  questions: [{ name, type: 'A' }],
  ...over,
});

describe('what is forwarded', () => {
  test('names of elsewhere, and of the catalogue none', async () => {
    const { port } = await start();
    expect(await digShort(port, 'www.example.com')).toEqual(['192.0.2.7']);
    expect(await digShort(port, 'redis.service.consul')).toEqual(['10.0.0.1']);
    expect((await dig(port, 'none.service.consul')).status).toBe('NXDOMAIN');
    expect(await digShort(port, '-x', '10.0.0.1')).toEqual(['redis.service.dc1.consul.']);
    expect(upstream.asked.map(({ packet }) => packet.questions?.[0]?.name)).toEqual(['www.example.com']);
    await dig(port, '-x', '192.0.2.99');
    expect(upstream.asked).toHaveLength(2);
  });

  test('the reply says that recursion is available, and no authority is claimed for what others say', async () => {
    const { port } = await start();
    expect((await dig(port, 'www.example.com')).flags).toEqual(['qr', 'rd', 'ra']);
    expect((await dig(port, 'redis.service.consul')).flags).toEqual(['qr', 'aa', 'rd', 'ra']);
  });

  test('nothing without recursion desired, of another class, or of a zone', async () => {
    const { port } = await start();
    for (const words of [
      ['www.example.com', '+norecurse'],
      ['www.example.com', '-c', 'CH'],
    ]) {
      expect((await dig(port, ...words)).status).toBe('REFUSED');
    }
    const transfer = decode(
      await exchange(port, query('example.com', { questions: [{ name: 'example.com', type: 'AXFR' }] })),
    );
    expect(transfer).toMatchObject({ rcode: 'REFUSED' });
    expect(upstream.asked).toEqual([]);
  });

  test('nothing by default', async () => {
    const server = new DnsServer(store, { host: '127.0.0.1', port: 0, domain: 'consul', ttl: 0, log: silent });
    await server.listen();
    closing.push(() => server.close());
    const { status, flags } = await dig(server.port, 'www.example.com');
    expect([status, flags]).toEqual(['REFUSED', ['qr', 'rd']]);
  });

  test('ANY of elsewhere by TCP only, where the sender is no lie', async () => {
    const { port } = await start();
    const reply = decode(
      await exchange(port, query('x.example', { questions: [{ name: 'x.example', type: 'ANY' as never }] })),
    );
    expect([reply.flag_tc, reply.answers]).toEqual([true, []]);
    expect(upstream.asked).toEqual([]);
    expect(await digShort(port, 'x.example', 'ANY', '+tcp')).toEqual(['192.0.2.7']);
  });

  test('the addresses of a service that has a host name, behind the name', async () => {
    store.put(service({ id: 'shop', name: 'shop', address: 'shop.example.com' }));
    upstream.answer = () => ({
      answers: [{ type: 'CNAME', name: 'shop.example.com', data: 'edge.example.net', ttl: 60 }, a('edge.example.net')],
    });
    const { port } = await start();
    const { answer } = await dig(port, 'shop.service.consul');
    expect(answer.map(({ name, type, data }) => `${name} ${type} ${data}`)).toEqual([
      'shop.service.consul. CNAME shop.example.com.',
      'shop.example.com. CNAME edge.example.net.',
      'edge.example.net. A 192.0.2.7',
    ]);
    expect((await dig(port, 'shop.service.consul', '+norecurse')).answer).toHaveLength(1);
  });
});

describe('the question upstream', () => {
  test('has an ID and a port that nobody can guess, and the case of the client', async () => {
    const { port } = await start();
    for (let i = 0; i < 12; i++) await dig(port, `WwW-${i}.Example.com`);
    const { asked } = upstream;
    expect(new Set(asked.map(({ packet }) => packet.id)).size).toBeGreaterThan(8);
    expect(new Set(asked.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(6);
    expect(asked[0]?.packet.questions?.[0]?.name).toBe('WwW-0.Example.com');
    expect(asked[0]?.packet.flag_rd).toBe(true);
    expect(asked[0]?.packet.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }]);
  });

  test('replies with another ID, question or from nobody are not taken', async () => {
    const spoofed = (id: number) => ({ id, answers: [a('www.example.com', '6.6.6.6')] });
    let turn = 0;
    upstream.answer = async ({ packet }) => {
      turn += 1;
      if (turn === 1) return spoofed(((packet.id ?? 0) + 1) & 0xffff);
      if (turn === 2) return { questions: [{ name: 'evil.example.com', type: 'A' }], answers: [a('evil.example.com')] };
      return { answers: [a('www.example.com')] };
    };
    const forwarder = new Forwarder({ upstreams: [upstream.upstream, upstream.upstream], log: silent, timeoutMs: 100 });
    closing.push(() => forwarder.close());
    const { rawQuestion } = asked('www.example.com');
    const resolved = await forwarder.resolve({ rawQuestion, checkingDisabled: false });
    expect(decode(resolved?.packet ?? Buffer.alloc(0)).answers).toMatchObject([{ data: '192.0.2.7' }]);
    expect(turn).toBe(3);
  });
});

/** The question's bytes of a name, as the server has them. */
const asked = (name: string) => {
  const packet = encode(query(name));
  return { rawQuestion: packet.subarray(12), checkingDisabled: false };
};

describe('what is remembered', () => {
  test('an answer for its TTL, which runs down; whatever the case of the question, which the reply repeats', async () => {
    const { port } = await start();
    expect((await dig(port, 'www.example.com')).answer).toMatchObject([{ ttl: 300 }]);
    await eventually(async () => (await dig(port, 'www.example.com')).answer[0]?.ttl === 299, { deadlineMs: 5_000 });
    const reply = await exchange(port, query('WWW.eXample.com'));
    expect(decode(reply).questions).toMatchObject([{ name: 'WWW.eXample.com' }]);
    expect(upstream.asked).toHaveLength(1);
  });

  test.each([
    ['a TTL of 0', { answers: [a('x.example', '1.1.1.1', 0)] }, 2],
    ['a TTL of the highest bit', { answers: [a('x.example', '1.1.1.1', 2 ** 31)] }, 2],
    ['no such name, with an SOA', { rcode: 3, authorities: [soa(60, 60)] }, 1],
    ['no such name, with an SOA whose minimum is 0', { rcode: 3, authorities: [soa(60, 0)] }, 2],
    ['no such name, without an SOA', { rcode: 3 }, 2],
    ['no record, with an SOA', { authorities: [soa(60, 60)] }, 1],
    ['no record, without an SOA', {}, 2],
    [
      'an alias to nowhere',
      {
        rcode: 3,
        answers: [{ type: 'CNAME', name: 'x.example', data: 'y.example', ttl: 0 }],
        authorities: [soa(60, 60)],
      },
      2,
    ],
    ['a failure, for a moment', { rcode: 2 }, 2],
  ] as const)('%s', async (_, answer, times) => {
    upstream.answer = () => ({ ...answer }) as never;
    const { port } = await start();
    const first = await dig(port, 'x.example');
    const before = upstream.asked.length;
    const second = await dig(port, 'x.example');
    expect(second.status).toBe(first.status);
    // A failure is tried twice, and then not again within a second.
    expect(upstream.asked.length - before).toBe('rcode' in answer && answer.rcode === 2 ? 0 : times - 1);
  });

  test('questions of different types, and with and without signatures, are kept apart', async () => {
    const { port } = await start();
    for (const words of [
      ['x.example'],
      ['x.example', 'AAAA'],
      ['x.example', 'TYPE65'],
      ['x.example', '+dnssec'],
      ['x.example', '+cdflag'],
    ]) {
      await dig(port, ...words);
      await dig(port, ...words);
    }
    expect(upstream.asked).toHaveLength(5);
  });

  test('equal questions at one time are asked once', async () => {
    const release = Promise.withResolvers<void>();
    upstream.answer = async ({ packet }) => {
      await release.promise;
      return { answers: [a(packet.questions?.[0]?.name ?? '', '192.0.2.7', 0)] };
    };
    const { port } = await start();
    const all = Array.from({ length: 20 }, (_, id) => exchange(port, query('x.example', { id })));
    await eventually(() => upstream.asked.length === 1);
    release.resolve();
    const replies = (await Promise.all(all)).map((reply) => decode(reply));
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, id) => id));
    expect(replies.every(({ answers }) => answers?.length === 1)).toBe(true);
    expect(upstream.asked).toHaveLength(1);
  });
});

describe('upstreams that fail', () => {
  test('the next one is asked, and stays the first to ask', async () => {
    const dead = { host: '127.0.0.1', port: await freePort() };
    const { port } = await start([dead, upstream.upstream]);
    expect(await digShort(port, 'a.example')).toEqual(['192.0.2.7']);
    const before = performance.now();
    expect(await digShort(port, 'b.example')).toEqual(['192.0.2.7']);
    expect(performance.now() - before).toBeLessThan(1_000);
  });

  test('one that is silent costs its time once', async () => {
    const mute = await new UpstreamServer(() => undefined).start();
    closing.push(() => mute.stop());
    const forwarder = new Forwarder({ upstreams: [mute.upstream, upstream.upstream], log: silent, timeoutMs: 150 });
    closing.push(() => forwarder.close());
    expect(await forwarder.resolve(asked('a.example'))).toBeDefined();
    expect(await forwarder.resolve(asked('b.example'))).toBeDefined();
    expect(mute.asked).toHaveLength(1);
  });

  test('one that cannot say is passed over; where none can, what one said is handed on', async () => {
    const broken = await new UpstreamServer(() => ({ rcode: 2 })).start();
    closing.push(() => broken.stop());
    const { port } = await start([broken.upstream, upstream.upstream]);
    expect(await digShort(port, 'a.example')).toEqual(['192.0.2.7']);
    upstream.answer = () => ({ rcode: 5 });
    expect((await dig(port, 'b.example')).status).toMatch(/SERVFAIL|REFUSED/);
  });

  test('where nobody answers the client hears so, is not kept waiting again at once, and one line is logged', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    const mute = await new UpstreamServer(() => undefined).start();
    closing.push(() => mute.stop());
    const forwarder = new Forwarder({ upstreams: [mute.upstream], log, timeoutMs: 50 });
    closing.push(() => forwarder.close());
    expect(await forwarder.resolve(asked('a.example'))).toBeUndefined();
    expect(await forwarder.resolve(asked('a.example'))).toBeUndefined();
    expect(await forwarder.resolve(asked('b.example'))).toBeUndefined();
    expect(mute.asked).toHaveLength(4);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('no resolver of --dns-forward answers');
    const { port } = await start([{ host: '127.0.0.1', port: await freePort() }]);
    expect((await dig(port, 'a.example')).status).toBe('SERVFAIL');
  });

  test('a server that forwards to itself answers all the same', async () => {
    const port = await freePort();
    const server = new DnsServer(store, {
      host: '127.0.0.1',
      port,
      domain: 'consul',
      ttl: 0,
      forward: [{ host: '127.0.0.1', port }],
      log: silent,
    });
    await server.listen();
    closing.push(() => server.close());
    expect(decode(await exchange(port, query('a.example')))).toMatchObject({ rcode: 'SERVFAIL' });
  });

  test('closing ends what waits, and so do many that wait', async () => {
    const mute = await new UpstreamServer(() => undefined).start();
    closing.push(() => mute.stop());
    const forwarder = new Forwarder({ upstreams: [mute.upstream], log: silent });
    const all = Array.from({ length: 600 }, (_, i) => forwarder.resolve(asked(`x${i}.example`)));
    expect(forwarder.pending).toBe(512);
    forwarder.close();
    expect(await Promise.all(all)).toEqual(all.map(() => undefined));
    expect(forwarder.pending).toBe(0);
  });
});

describe('long answers', () => {
  const many = Array.from({ length: 90 }, (_, i) => a('many.example', `192.0.2.${i}`));

  test('come by TCP, from upstream and to the client', async () => {
    upstream.answer = ({ transport }) =>
      transport === 'tcp' ? { answers: many } : { flags: TRUNCATED_RESPONSE, answers: [] };
    const { port } = await start();
    const short = decode(await exchange(port, query('many.example')));
    expect([short.flag_tc, short.answers]).toEqual([true, []]);
    expect(upstream.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
    expect(await digShort(port, 'many.example')).toHaveLength(90);
    expect(await digShort(port, 'many.example', '+tcp')).toHaveLength(90);
    expect(upstream.asked).toHaveLength(2);
  });

  test('a client on TCP that asks many names at once gets them all', async () => {
    const { port } = await start();
    const socket = connect(port, '127.0.0.1');
    closing.push(() => socket.destroy());
    const ids = new Set<number>();
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
        ids.add(bytes.readUInt16BE(2));
        bytes = bytes.subarray(2 + bytes.readUInt16BE(0));
      }
    });
    for (let id = 0; id < 100; id++) socket.write(streamEncode(query(`n${id}.example`, { id })));
    await eventually(() => ids.size === 100);
  });
});

describe('what others send', () => {
  test('record types that have no name here, and what a validating resolver found out, go through', async () => {
    const data = Buffer.from([0, 1, 0, 0, 1, 0, 3, 2, 104, 50]);
    upstream.answer = ({ packet }) => ({
      flags: AUTHENTIC_DATA,
      answers: [{ type: 'UNKNOWN_65', name: packet.questions?.[0]?.name ?? '', ttl: 60, data } as never],
    });
    const { port } = await start();
    const { answer, flags } = await dig(port, 'x.example', 'TYPE65');
    expect(answer).toMatchObject([{ ttl: 60 }]);
    expect(answer[0]?.data).toBe('1 . alpn="h2"');
    expect(flags).toContain('ad');
  });

  test('bytes that are no message are no answer', async () => {
    let packets = 0;
    upstream.answer = ({ packet }) => {
      packets += 1;
      const head = Buffer.alloc(12);
      head.writeUInt16BE(packet.id ?? 0, 0);
      head.writeUInt16BE(0x8180, 2);
      head.writeUInt16BE(1, 4);
      return packets < 3 ? Buffer.concat([head, Buffer.from([63, 1, 2])]) : undefined;
    };
    const { port } = await start();
    expect(decode(await exchange(port, query('x.example')))).toMatchObject({ rcode: 'SERVFAIL' });
  });

  test('any bytes are read or refused, and never read beyond their end', () => {
    const valid = encode({
      type: 'response',
      id: 1,
      questions: [{ name: 'x.example', type: 'A' }],
      answers: [a('x.example')],
      authorities: [soa(60, 60)],
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never],
    });
    const mangled = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
      const bytes = Buffer.from(valid);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
    const any = fc.oneof(
      mangled,
      fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
      fc.nat(valid.length).map((length) => valid.subarray(0, length)),
    );
    fc.assert(
      fc.property(any, (bytes) => {
        const message = readMessage(bytes);
        if (message === undefined) return;
        expect(message.end).toBeLessThanOrEqual(bytes.length);
        for (const { ttlAt } of message.records) expect(ttlAt + 4).toBeLessThanOrEqual(message.end);
        expect(message.records).toHaveLength(message.counts[0] + message.counts[1] + message.counts[2]);
      }),
      { numRuns: 3_000 },
    );
    expect(readMessage(valid)).toMatchObject({ counts: [1, 1, 0], records: [{ ttl: 300 }, { ttl: 60, minimum: 60 }] });
  });
});
