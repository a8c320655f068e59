import { type Answer, decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answer } from '../../src/catalogue/dns/answer.ts';
import { encodeReply, parseQuery, udpLimit } from '../../src/catalogue/dns/wire.ts';
import { Store } from '../../src/catalogue/index.ts';
import type { Service } from '../../src/services/index.ts';
import { service } from '../support/service.ts';

const OPTIONS = { domain: 'consul', ttl: 0, serial: 7, random: Math.random };

type Reply = Packet & { rcode: string; flag_tc: boolean; flag_aa: boolean; size: number };

function holding(...services: Partial<Service>[]): Store {
  const store = new Store({ name: 'node1', address: '10.0.0.9' });
  for (const [i, over] of services.entries()) store.put(service({ id: `id-${String(i).padStart(4, '0')}`, ...over }));
  return store;
}

/** The reply to a packet, by the way that a packet goes through the server. */
function reply(
  store: Store,
  packet: Buffer,
  { limit, ...over }: { limit?: number; domain?: string; ttl?: number } = {},
) {
  const query = parseQuery(packet);
  if (query === undefined) return undefined;
  if ('reply' in query) return query.reply;
  return encodeReply(query, answer(query.question, store, { ...OPTIONS, ...over }), limit ?? udpLimit(query));
}

interface Ask {
  readonly udpSize?: number;
  readonly limit?: number;
  readonly domain?: string;
  readonly ttl?: number;
}

function ask(store: Store, name: string, type: string, { udpSize, ...options }: Ask = {}): Reply {
  const edns = { name: '.', type: 'OPT', udpPayloadSize: udpSize, flags: 0, options: [] } as unknown as Answer;
  const packet = encode({
    type: 'query',
    id: 4711,
    flags: 0x100,
    questions: [{ name, type: type as 'A' }],
    ...(udpSize === undefined ? {} : { additionals: [edns] }),
  });
  const bytes = reply(store, packet, options);
  if (bytes === undefined) throw new Error('no reply');
  return Object.assign(decode(bytes), { size: bytes.length }) as unknown as Reply;
}

const data = ({ answers = [] }: Packet) => answers.map((record) => 'data' in record && record.data);
const SOA = {
  name: 'consul',
  type: 'SOA',
  data: {
    mname: 'ns.consul',
    rname: 'hostmaster.consul',
    serial: 7,
    refresh: 3600,
    retry: 600,
    expire: 86400,
    minimum: 0,
  },
};

test('A gives the IPv4 addresses and AAAA the IPv6 ones, each once', () => {
  const store = holding({}, { port: 2 }, { address: '10.0.0.2' }, { address: '2001:DB8:0::5' });
  expect(data(ask(store, 'redis.service.consul', 'A')).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(data(ask(store, 'redis.service.consul', 'AAAA'))).toEqual(['2001:db8::5']);
  expect(data(ask(store, 'redis.service.consul', 'ANY')).sort()).toEqual(['10.0.0.1', '10.0.0.2', '2001:db8::5']);
});

test('an answer is authoritative, with the question, its ID and the TTL as set', () => {
  const answered = ask(holding({}), 'redis.service.consul', 'A', { ttl: 5 });
  expect(answered).toMatchObject({
    id: 4711,
    type: 'response',
    flag_aa: true,
    flag_rd: true,
    flag_ra: false,
    questions: [{ name: 'redis.service.consul', type: 'A', class: 'IN' }],
    answers: [{ name: 'redis.service.consul', ttl: 5 }],
  });
});

test('names are found in any case, and the reply keeps the case of the question', () => {
  const answered = ask(holding({ name: 'Redis' }), 'rEDis.SERVICE.Dc1.cONsul', 'A');
  expect(answered.answers).toMatchObject([{ name: 'rEDis.SERVICE.Dc1.cONsul', data: '10.0.0.1' }]);
});

test('SRV gives priority 1, the weight, the port and a target, whose address stands in the additional section', () => {
  const answered = ask(holding({ weight: 7 }, { address: '2001:db8::5' }), 'redis.service.consul', 'SRV');
  expect(data(answered)).toEqual(
    expect.arrayContaining([
      { priority: 1, weight: 7, port: 32768, target: '0a000001.addr.dc1.consul' },
      { priority: 1, weight: 1, port: 32768, target: '20010db8000000000000000000000005.addr.dc1.consul' },
    ]),
  );
  expect(answered.additionals).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: '0a000001.addr.dc1.consul', type: 'A', data: '10.0.0.1' }),
      expect.objectContaining({
        name: '20010db8000000000000000000000005.addr.dc1.consul',
        type: 'AAAA',
        data: '2001:db8::5',
      }),
    ]),
  );
});

test("a target's name has the target's address", () => {
  const store = holding({});
  expect(data(ask(store, '0A000001.addr.dc1.consul', 'A'))).toEqual(['10.0.0.1']);
  expect(data(ask(store, '20010db8000000000000000000000005.addr.consul', 'AAAA'))).toEqual(['2001:db8::5']);
  expect(ask(store, '0a000001.addr.consul', 'AAAA')).toMatchObject({
    rcode: 'NOERROR',
    answers: [],
    authorities: [SOA],
  });
  expect(ask(store, 'zz.addr.consul', 'A').rcode).toBe('NXDOMAIN');
});

test('a service without an address of its own is at the node', () => {
  const answered = ask(holding({ address: '' }), 'redis.service.consul', 'SRV');
  expect(data(answered)).toMatchObject([{ target: 'node1.node.dc1.consul' }]);
  expect(answered.additionals).toMatchObject([{ name: 'node1.node.dc1.consul', data: '10.0.0.9' }]);
  expect(data(ask(holding({ address: '' }), 'redis.service.consul', 'A'))).toEqual(['10.0.0.9']);
});

test('tags choose, in any case and with dots in them', () => {
  const store = holding({ tags: ['Master', 'v1.2'] }, { address: '10.0.0.2', tags: ['slave'] });
  expect(data(ask(store, 'master.redis.service.consul', 'A'))).toEqual(['10.0.0.1']);
  expect(data(ask(store, 'v1.2.redis.service.dc1.consul', 'A'))).toEqual(['10.0.0.1']);
  expect(ask(store, 'nobody.redis.service.consul', 'A').rcode).toBe('NXDOMAIN');
});

test('RFC 2782 names: _tcp stands for any, other words for a tag', () => {
  const store = holding({ tags: ['master'] }, { address: '10.0.0.2' }, { name: 'dns', tags: ['udp'], port: 53 });
  expect(data(ask(store, '_redis._tcp.service.consul', 'SRV'))).toHaveLength(2);
  expect(data(ask(store, '_redis._master.service.dc1.consul', 'SRV'))).toMatchObject([
    { target: '0a000001.addr.dc1.consul' },
  ]);
  expect(data(ask(store, '_dns._udp.service.consul', 'SRV'))).toMatchObject([{ port: 53 }]);
  expect(ask(store, '_redis._udp.service.consul', 'SRV').rcode).toBe('NXDOMAIN');
});

test('a name with dots or other characters is reachable as it is written', () => {
  const store = holding({ name: 'My_Web.x', tags: ['v1.2'] }, { name: 'a b', address: '10.0.0.2' });
  expect(data(ask(store, 'my_web.x.service.consul', 'A'))).toEqual(['10.0.0.1']);
  expect(data(ask(store, 'v1.2.My_Web.x.service.consul', 'A'))).toEqual(['10.0.0.1']);
  expect(data(ask(store, 'a b.service.consul', 'A'))).toEqual(['10.0.0.2']);
  // It has a name below it: it exists.
  expect(ask(store, 'x.service.consul', 'A')).toMatchObject({ rcode: 'NOERROR', answers: [] });
});

test('critical instances are left out, warnings stay with a weight of 1', () => {
  const store = holding(
    { health: { status: 'critical', output: '' }, check: { type: 'docker', ttl: '60s' } },
    {
      health: { status: 'warning', output: '' },
      check: { type: 'docker', ttl: '60s' },
      address: '10.0.0.2',
      weight: 9,
    },
  );
  expect(data(ask(store, 'redis.service.consul', 'A'))).toEqual(['10.0.0.2']);
  expect(data(ask(store, 'redis.service.consul', 'SRV'))).toMatchObject([{ weight: 1 }]);
  store.remove('id-0001');
  expect(ask(store, 'redis.service.consul', 'A')).toMatchObject({ rcode: 'NXDOMAIN', authorities: [SOA] });
});

test('the node has its address, by its own name', () => {
  const store = holding();
  expect(data(ask(store, 'NODE1.node.consul', 'A'))).toEqual(['10.0.0.9']);
  expect(data(ask(store, 'node1.node.dc1.consul', 'ANY')).map(String)).toEqual(['10.0.0.9', 'consul-network-segment=']);
  expect(data(ask(store, 'node1.node.consul', 'TXT')).map(String)).toEqual(['consul-network-segment=']);
  expect(ask(store, 'node1.node.consul', 'AAAA')).toMatchObject({ rcode: 'NOERROR', answers: [], authorities: [SOA] });
  expect(ask(store, 'node2.node.consul', 'A').rcode).toBe('NXDOMAIN');
  expect(ask(store, 'node1.node.dc2.consul', 'A').rcode).toBe('NXDOMAIN');
});

test.each([
  ['redis.service.consul', 'MX'],
  ['redis.service.consul', 'TXT'],
  ['redis.service.consul', 'AAAA'],
  ['consul', 'A'],
  ['service.consul', 'A'],
  ['dc1.consul', 'MX'],
  ['service.dc1.consul', 'A'],
  ['_tcp.service.consul', 'SRV'],
])('%s exists and has no %s', (name, type) => {
  expect(ask(holding({}), name, type)).toMatchObject({ rcode: 'NOERROR', answers: [], authorities: [SOA] });
});

test.each(['gone.service.consul', 'redis.consul', 'redis.service.dc2.consul', 'redis.query.consul', 'x.y.z.consul'])(
  '%s does not exist',
  (name) => {
    expect(ask(holding({}), name, 'A')).toMatchObject({ rcode: 'NXDOMAIN', answers: [], authorities: [SOA] });
  },
);

test.each(['example.com', 'notconsul', 'consul.example.com', '.'])('%s is none of ours', (name) => {
  expect(ask(holding({}), name, 'A')).toMatchObject({ rcode: 'REFUSED', flag_aa: false, answers: [] });
});

test('the domain has a SOA and a name server', () => {
  expect(ask(holding(), 'consul', 'SOA').answers).toMatchObject([SOA]);
  expect(ask(holding(), 'consul', 'NS')).toMatchObject({
    answers: [{ name: 'consul', type: 'NS', data: 'node1.node.dc1.consul' }],
    additionals: [{ name: 'node1.node.dc1.consul', data: '10.0.0.9' }],
  });
});

test('the domain may be another, of several labels', () => {
  const store = holding({});
  expect(data(ask(store, 'redis.service.corp.internal', 'A', { domain: 'corp.internal' }))).toEqual(['10.0.0.1']);
  expect(ask(store, 'redis.service.consul', 'A', { domain: 'corp.internal' }).rcode).toBe('REFUSED');
});

test('an address has the names of what is there', () => {
  const store = holding({}, { address: '2001:db8::5', name: 'web' });
  expect(data(ask(store, '1.0.0.10.in-addr.arpa', 'PTR'))).toEqual(['redis.service.dc1.consul']);
  expect(data(ask(store, '9.0.0.10.in-addr.arpa', 'PTR'))).toEqual(['node1.node.dc1.consul']);
  const six = '5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa';
  expect(data(ask(store, six, 'PTR'))).toEqual(['web.service.dc1.consul']);
  expect(ask(store, '1.2.3.4.in-addr.arpa', 'PTR').rcode).toBe('SERVFAIL');
  expect(ask(store, '10.in-addr.arpa', 'SOA').rcode).toBe('SERVFAIL');
});

test('whatever the name in the domain, SOA and NS are those of the domain', () => {
  for (const name of ['consul', 'service.consul', 'redis.service.consul', 'none.consul']) {
    expect(ask(holding(), name, 'SOA')).toMatchObject({
      rcode: 'NOERROR',
      answers: [SOA],
      authorities: [{ type: 'NS' }],
    });
    expect(data(ask(holding(), name, 'NS'))).toEqual(['node1.node.dc1.consul']);
  }
});

test('until all is known that runs here, its names get no answer that could be remembered', () => {
  const store = holding();
  store.whole = false;
  expect(ask(store, 'redis.service.consul', 'A')).toMatchObject({ rcode: 'SERVFAIL', answers: [], authorities: [] });
  expect(ask(store, 'example.com', 'A').rcode).toBe('REFUSED');
});

test('consul is the service of the server that this host stands for, unless a container has the name', () => {
  expect(data(ask(holding(), 'consul.service.consul', 'A'))).toEqual(['10.0.0.9']);
  expect(data(ask(holding(), '_consul._tcp.service.consul', 'SRV'))).toMatchObject([
    { port: 8300, target: 'node1.node.dc1.consul' },
  ]);
  expect(data(ask(holding({ name: 'consul' }), 'consul.service.consul', 'A'))).toEqual(['10.0.0.1']);
});

test('a host name as the address is an alias, given only where there is no address, and one at a time', () => {
  const store = holding({ address: 'a.example.com' }, { address: 'b.example.com' });
  const answered = ask(store, 'redis.service.consul', 'A');
  expect(answered.answers).toHaveLength(1);
  expect(answered.answers).toMatchObject([{ type: 'CNAME', data: expect.stringMatching(/^[ab]\.example\.com$/) }]);
  expect(data(ask(store, 'redis.service.consul', 'SRV'))).toHaveLength(2);
  store.put(service({ id: 'x', address: '10.0.0.3' }));
  expect(data(ask(store, 'redis.service.consul', 'A'))).toEqual(['10.0.0.3']);
});

test('an address that is neither an address nor a host name is left out', () => {
  const store = holding({ address: 'not an address' }, { address: '999.1.1.1' }, { address: 'x'.repeat(64) });
  for (const type of ['A', 'SRV']) {
    expect(ask(store, 'redis.service.consul', type)).toMatchObject({ rcode: 'NOERROR', answers: [] });
  }
});

test('a port or weight out of range is brought into it', () => {
  const answered = ask(holding({ port: 70_000, weight: -1 }), 'redis.service.consul', 'SRV');
  expect(data(answered)).toMatchObject([{ port: 65_535, weight: 0 }]);
});

test('answers come in random order, each of them first about as often', () => {
  const store = holding(...Array.from({ length: 4 }, (_, i) => ({ address: `10.0.0.${i}` })));
  const firsts = new Map<unknown, number>();
  for (let i = 0; i < 2000; i++) {
    const [first] = data(ask(store, 'redis.service.consul', 'A'));
    firsts.set(first, (firsts.get(first) ?? 0) + 1);
  }
  expect([...firsts.values()].every((count) => count > 350 && count < 650)).toBe(true);
  expect(firsts.size).toBe(4);
});

const HUNDRED = holding(...Array.from({ length: 100 }, (_, i) => ({ address: `10.0.1.${i}`, port: 1000 + i })));

test.each([
  // 12 of header, 26 of question, 16 for each A; 11 of EDNS.
  { udpSize: undefined, limit: 512, records: 29 },
  { udpSize: 100, limit: 512, records: 28 },
  { udpSize: 1232, limit: 1232, records: 73 },
  { udpSize: 4096, limit: 1232, records: 73 },
  { udpSize: 65_535, limit: 1232, records: 73 },
])('of 100 addresses $records go into $udpSize bytes of UDP', ({ udpSize, limit, records }) => {
  const answered = ask(HUNDRED, 'redis.service.consul', 'A', udpSize === undefined ? {} : { udpSize });
  expect(answered.answers).toHaveLength(records);
  expect(answered.size).toBeLessThanOrEqual(limit);
  expect(answered.flag_tc).toBe(records < 100);
  expect(answered.additionals?.length).toBe(udpSize === undefined ? 0 : 1);
});

test('TCP carries all of 100 instances with their addresses', () => {
  const answered = ask(HUNDRED, 'redis.service.consul', 'SRV', { limit: 65_535 });
  expect(answered.answers).toHaveLength(100);
  expect(answered.additionals).toHaveLength(100);
  expect(answered.flag_tc).toBe(false);
});

test('where only additional records are left out, the reply is not called truncated', () => {
  const store = holding(...Array.from({ length: 9 }, (_, i) => ({ address: `10.0.1.${i}` })));
  const answered = ask(store, 'redis.service.consul', 'SRV');
  expect(answered.answers).toHaveLength(9);
  expect(answered.additionals?.length).toBeLessThan(9);
  expect(answered.flag_tc).toBe(false);
});

test('a newer EDNS, a transfer or another class is refused, what is no query gets no answer', () => {
  const store = holding({});
  expect(ask(store, 'consul', 'AXFR').rcode).toBe('REFUSED');
  const chaos = encode({ type: 'query', questions: [{ name: 'redis.service.consul', type: 'A', class: 'CH' }] });
  expect(decode(reply(store, chaos) ?? Buffer.alloc(0))).toMatchObject({ rcode: 'REFUSED' });
  const response = encode({ type: 'response', questions: [{ name: 'redis.service.consul', type: 'A' }] });
  expect(reply(store, response)).toBeUndefined();
  expect(reply(store, Buffer.alloc(11))).toBeUndefined();
});

test.each([
  ['an update', Buffer.from('123428000001000000000000', 'hex'), 'NOTIMP'],
  ['no question', Buffer.from('123401000000000000000000', 'hex'), 'FORMERR'],
  ['two questions', encode({ questions: [1, 2].map(() => ({ name: 'a.consul', type: 'A' as const })) }), 'FORMERR'],
  ['a question that ends early', Buffer.from('1234010000010000000000000561', 'hex'), 'FORMERR'],
  ['a name that points to itself', Buffer.from('123401000001000000000000c00c00010001', 'hex'), 'FORMERR'],
  [
    'an additional record that points to itself',
    Buffer.concat([
      Buffer.from('123401000001000000000001', 'hex'),
      Buffer.from('0000010001', 'hex'),
      Buffer.from('c0110001000100000000000401020304', 'hex'),
    ]),
    'FORMERR',
  ],
])('%s is answered with an error', (_, packet, rcode) => {
  const bytes = reply(holding({}), packet);
  expect(bytes).toHaveLength(12);
  expect(decode(bytes ?? Buffer.alloc(0))).toMatchObject({ id: packet.readUInt16BE(0), rcode, type: 'response' });
});

test('any bytes at all: never a throw, never a reply to a response, never too long', () => {
  const header = fc
    .tuple(fc.nat(255), fc.nat(255), fc.constantFrom(0, 1, 2), fc.constantFrom(0, 1, 3))
    .map(([flags, low, questions, additionals]) =>
      Buffer.of(1, 2, flags, low, 0, questions, 0, 0, 0, 0, 0, additionals),
    );
  const label = fc.oneof(
    fc
      .constantFrom('redis', 'service', 'consul', 'node', 'addr', 'dc1', '_tcp', 'in-addr', 'arpa')
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ minLength: 1, maxLength: 63 }).map((bytes) => Buffer.from(bytes)),
  );
  const name = fc
    .array(label, { maxLength: 8 })
    .map((labels) => Buffer.concat([...labels.flatMap((bytes) => [Buffer.of(bytes.length), bytes]), Buffer.of(0)]));
  const tail = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
  const kind = fc.constantFrom(1, 28, 33, 255, 6, 2, 12, 41, 999).map((type) => Buffer.of(type >> 8, type & 255, 0, 1));
  const packet = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(header, name, kind, tail).map((parts) => Buffer.concat(parts)),
    fc.tuple(header, name, kind).map((parts) => Buffer.concat(parts)),
  );
  fc.assert(
    fc.property(packet, fc.integer({ min: 512, max: 4096 }), (bytes, limit) => {
      const replied = reply(HUNDRED, bytes, { limit });
      if (bytes.length < 12 || (bytes[2] ?? 0) >= 128) {
        expect(replied).toBeUndefined();
        return;
      }
      if (replied === undefined) throw new Error('a query without a reply');
      expect(replied.length).toBeLessThanOrEqual(limit);
      expect(replied.subarray(0, 2)).toEqual(bytes.subarray(0, 2));
      expect(() => decode(replied)).not.toThrow();
    }),
    { numRuns: 3000 },
  );
});

test('whatever services are registered, every reply can be read and keeps its limit', () => {
  const word = fc.oneof(fc.string({ maxLength: 70 }), fc.constantFrom('redis', 'a.b', '', '_x', 'é'));
  const any = fc.record({
    name: word,
    address: fc.oneof(word, fc.ipV4(), fc.ipV6(), fc.domain()),
    port: fc.integer(),
    weight: fc.integer(),
    tags: fc.array(word, { maxLength: 3 }),
  });
  const type = fc.constantFrom('A', 'AAAA', 'SRV', 'ANY', 'SOA', 'NS', 'PTR');
  fc.assert(
    fc.property(
      fc.array(any, { minLength: 1, maxLength: 30 }),
      type,
      fc.integer({ min: 512, max: 2000 }),
      (all, kind, limit) => {
        const store = holding(...all);
        for (const { name } of all) {
          if (!/^[^.]{1,20}$/.test(name)) continue;
          const answered = ask(store, `${name}.service.consul`, kind, { limit });
          expect(answered.size).toBeLessThanOrEqual(limit);
          expect(answered.rcode).toBe('NOERROR');
        }
      },
    ),
    { numRuns: 300 },
  );
});
