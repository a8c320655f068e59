import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRegistry, type Registry } from '../../src/registries/index.ts';
import { ConsulServer } from '../support/consul.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

/** More than 500 questions to the catalogue and to a real agent that holds the same services; what differs is listed. */

const signal = new AbortController().signal;
const consul = new ConsulServer();
const registries: Registry[] = [];
let dns: number;

const SERVICES = [
  service({ id: 'a', tags: ['master', 'v1'], weight: 5 }),
  service({ id: 'b', tags: ['slave'], address: '2001:db8::5', port: 1 }),
  service({ id: 'c', name: 'sick', check: { type: 'ttl', ttl: '5m' }, address: '10.0.0.3' }),
  service({ id: 'd', name: 'dns', tags: ['udp'], port: 53 }),
  service({ id: 'e', name: 'Mixed-Case' }),
  service({ id: 'f', name: 'alias', address: 'shop.example.com' }),
  service({ id: 'g', name: 'on-node', address: '' }),
];

beforeAll(async () => {
  await consul.start();
  dns = await freePort();
  const context = {
    owner: { host: 'consul-test', engine: 'E' },
    hostAddress: '127.0.0.1',
    env: {},
    log: pino({ level: 'silent' }),
  };
  for (const uri of [`memory://:${await freePort()}?dns=${dns}`, `consul://${consul.address}`]) {
    const registry = await createRegistry(uri, context);
    registries.push(registry);
    await registry.connect(signal);
    await registry.register(SERVICES, signal);
  }
  await eventuallyPasses(async () =>
    expect(await ask(consul.dnsPort, 'alias.service.consul', 'SRV')).toMatchObject({ status: 'NOERROR' }),
  );
});
afterAll(async () => {
  await Promise.all(registries.map((registry) => registry.close()));
  await consul.dispose();
});

/** Everything of a reply that does not change from one to the next; records in one order, the SOA's serial left out. */
async function ask(port: number, name: string, type: string, subnet?: string) {
  const socket = createSocket('udp4');
  try {
    const options = subnet === undefined ? [] : [{ code: 'CLIENT_SUBNET', ip: subnet, sourcePrefixLength: 24 }];
    const additionals = [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options }] as never;
    const question = { name, type: type as RecordType };
    socket.send(encode({ type: 'query', id: 7, flags: 0x100, questions: [question], additionals }), port, '127.0.0.1');
    const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(3_000) })) as [Buffer];
    const packet = decode(reply) as DecodedPacket & { rcode: string };
    const records = (section: DecodedPacket['answers']) =>
      (section ?? [])
        .filter((record) => record.type !== 'OPT')
        .map((record) => {
          const {
            name: owner,
            type: kind,
            ttl,
            data,
          } = record as { name: string; type: string; ttl: number; data: unknown };
          const plain = kind === 'SOA' ? { ...(data as object), serial: 0 } : data;
          return `${owner} ${ttl} ${kind} ${kind === 'TXT' ? String(data) : JSON.stringify(plain)}`;
        })
        .sort();
    const opt = packet.additionals?.find((record) => record.type === 'OPT') as { options?: unknown[] } | undefined;
    return {
      status: packet.rcode,
      flags: [packet.flag_aa && 'aa', packet.flag_rd && 'rd', packet.flag_ra && 'ra'].filter(Boolean).join(' '),
      answers: records(packet.answers),
      authorities: records(packet.authorities),
      additionals: records(packet.additionals),
      ...(subnet === undefined ? {} : { edns: opt?.options }),
    };
  } finally {
    socket.close();
  }
}

const NAMES = `
consul. service.consul node.consul addr.consul query.consul dc1.consul service.dc1.consul node.dc1.consul foo.consul
redis.service.consul REDIS.Service.Consul redis.service.dc1.consul redis.service.dc2.consul redis.consul
master.redis.service.consul v1.redis.service.consul MASTER.redis.service.consul none.redis.service.consul
master.redis.service.dc1.consul a.b.redis.service.consul
_redis._tcp.service.consul _redis._master.service.consul _redis._udp.service.consul _redis._none.service.consul
_redis._tcp.service.dc1.consul _none._tcp.service.consul _dns._udp.service.consul
sick.service.consul dns.service.consul udp.dns.service.consul mixed-case.service.consul alias.service.consul
on-node.service.consul none.service.consul consul.service.consul consul.service.dc1.consul _consul._tcp.service.consul
consul-test.node.consul CONSUL-TEST.node.dc1.consul none.node.consul consul-test.node.dc2.consul
0a000001.addr.consul 0a000001.addr.dc1.consul 20010db8000000000000000000000005.addr.dc1.consul zz.addr.consul
foo.query.consul foo.connect.consul foo.ingress.consul foo.bar.baz.consul ns.consul
example.com 1.0.0.127.in-addr.arpa 1.0.0.10.in-addr.arpa 9.9.9.10.in-addr.arpa
5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa
`
  .trim()
  .split(/\s+/)
  .map((name) => (name === 'consul.' ? 'consul' : name));
const TYPES = ['A', 'AAAA', 'SRV', 'ANY', 'TXT', 'NS', 'SOA', 'PTR', 'CNAME', 'MX'];

const questions = NAMES.flatMap((name) => TYPES.map((type) => [name, type] as const));

type Reply = Awaited<ReturnType<typeof ask>>;

/** Where we differ, and why; `same` brings both to what they have in common, or fails to. */
const DIFFERENCES: readonly {
  readonly why: string;
  readonly same: (ours: Reply, theirs: Reply, type: string) => boolean;
}[] = [
  {
    why: 'A name that has others below it exists (RFC 8020): no error, no record. Consul: no such name.',
    same: (ours, theirs) => empty(ours) && theirs.status === 'NXDOMAIN' && theirs.answers.length === 0,
  },
  {
    why: 'ANY of the domain itself is answered with what SOA and NS are.',
    same: (ours, theirs, type) =>
      type === 'ANY' && theirs.status === 'NXDOMAIN' && /^consul 0 NS/.test(ours.answers[0] ?? ''),
  },
  {
    why: "SRV is not followed by the node's TXT record, once for each instance: nobody reads it there, and UDP is short.",
    same: (ours, theirs, type) =>
      type === 'SRV' &&
      equal(ours, { ...theirs, additionals: theirs.additionals.filter((record) => !/ TXT /.test(record)) }),
  },
  {
    why: 'A type that a name has no record of gets none. Consul gives addresses, aliases or PTR records that were not asked for.',
    same: (ours, theirs, type) =>
      (empty(ours) || ours.answers.length === 0) &&
      theirs.answers.length > 0 &&
      theirs.answers.every((record) => record.split(' ')[2] !== type),
  },
  {
    why: 'An empty answer has the SOA beside it, which says for how long it may be remembered (RFC 2308).',
    same: (ours, theirs) => empty(ours) && equal({ ...ours, authorities: [] }, { ...theirs, authorities: [] }),
  },
  {
    why: 'A node that is none, or of another datacenter, is no such name for every type. Consul: for addresses alone.',
    same: (ours, theirs) => ours.status === 'NXDOMAIN' && theirs.status === 'NOERROR' && theirs.answers.length === 0,
  },
  {
    why: 'PTR names every service of the address. Consul: one of them.',
    same: (ours, theirs, type) =>
      /PTR|ANY/.test(type) && theirs.answers.length === 1 && ours.answers.includes(theirs.answers[0] ?? ''),
  },
  {
    why: 'We do not say that we ask others where we do not.',
    same: (ours, theirs) => equal({ ...ours, flags: 'rd ra' }, theirs),
  },
];

const equal = (one: Reply, other: Reply) => JSON.stringify(one) === JSON.stringify(other);
const empty = ({ status, answers, authorities }: Reply) =>
  status === 'NOERROR' && answers.length === 0 && authorities.length === 1 && / SOA /.test(authorities[0] ?? '');
/** The port of Consul's own service is its own. */
const comparable = (name: string, reply: Reply): Reply =>
  !/^_?consul\._?(tcp|service)/.test(name)
    ? reply
    : (JSON.parse(
        JSON.stringify(reply).replace(/(\\"port\\":)\d+(,\\"target\\":\\"consul-test)/g, '$18300$2'),
      ) as Reply);

test(`${questions.length} questions are answered as Consul answers them, but for what is listed`, async () => {
  expect(questions.length).toBeGreaterThanOrEqual(500);
  const used = new Map(DIFFERENCES.map(({ why }) => [why, 0]));
  let same = 0;
  const wrong: unknown[] = [];
  for (const [name, type] of questions) {
    const [ours, theirs] = await Promise.all([
      ask(dns, name, type),
      ask(consul.dnsPort, name, type).then((reply) => comparable(name, reply)),
    ]);
    const difference = DIFFERENCES.find((each) => each.same(ours, theirs, type));
    if (equal(ours, theirs)) same += 1;
    else if (difference === undefined) wrong.push({ name, type, ours, theirs });
    else used.set(difference.why, (used.get(difference.why) ?? 0) + 1);
  }
  expect(wrong).toEqual([]);
  expect(same).toBeGreaterThan(350);
  // A difference that is none any more is to be taken from the list.
  expect([...used].filter(([, times]) => times === 0)).toEqual([]);
});

test("a resolver that says its client's network is told it again", async () => {
  const [ours, theirs] = [
    await ask(dns, 'redis.service.consul', 'A', '10.1.2.0'),
    await ask(consul.dnsPort, 'redis.service.consul', 'A', '10.1.2.0'),
  ];
  expect(ours).toEqual(theirs);
  expect(ours).toMatchObject({ edns: [{ ip: '10.1.2.0', sourcePrefixLength: 24, scopePrefixLength: 0 }] });
});
