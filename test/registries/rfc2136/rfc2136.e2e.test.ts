import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRegistry, ForbiddenError, type Owner, type Registry } from '../../../src/registries/index.ts';
import { BindServer } from '../../support/bind.ts';
import { type DnsTestServer, KEY, KEY_ENV } from '../../support/dns-server.ts';
import { eventuallyPasses } from '../../support/eventually.ts';
import { KnotServer } from '../../support/knot.ts';
import { freePort } from '../../support/ports.ts';
import { reconcile } from '../reconcile.ts';
import { serviceOf } from '../service.ts';

const ZONE = 'services.example';
const A: Owner = { host: 'node1', engine: 'ENGINE-A' };
const B: Owner = { host: 'node2', engine: 'ENGINE-B' };
const log = pino({ level: 'silent' });
const { signal } = new AbortController();
const open: Registry[] = [];

interface At {
  readonly env?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly servers?: string;
}

async function registryOf(server: DnsTestServer, owner: Owner = A, at: At = {}): Promise<Registry> {
  const { env = KEY_ENV, query = '', servers = server.address } = at;
  const registry = await createRegistry(`rfc2136://${servers}/${ZONE}${query}`, { owner, env, log });
  open.push(registry);
  return registry;
}

async function connected(server: DnsTestServer, owner: Owner = A, at: At = {}): Promise<Registry> {
  const registry = await registryOf(server, owner, at);
  await registry.connect(signal);
  await registry.registered(signal);
  return registry;
}

/** Two containers of one name, each with an ID of its own; the hosts differ in port. */
const service = (id: string, port: number, change = {}) => serviceOf(port, { id, ...change });
const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: Error) => error,
  );
/** Without the marks, which layout.test.ts and mark.test.ts spell out. */
const plain = async (server: DnsTestServer) => (await server.records()).filter((line) => !/ TXT /.test(line));

describe.each([
  ['BIND', BindServer],
  ['Knot', KnotServer],
] as const)('rfc2136:// at %s', (_, Server) => {
  let server: DnsTestServer;
  beforeAll(async () => {
    server = await new Server().start();
  });
  afterAll(() => server?.dispose());
  afterEach(async () => {
    await Promise.all(open.splice(0).map((registry) => registry.close()));
    await server.empty();
  });

  it('an instance is an address, an SRV record, and a TXT record that says whose it is', async () => {
    const registry = await connected(server, A, { query: '?tags=1' });
    await registry.register([service('one', 80, { tags: ['blue'] })], signal);
    expect(await server.records()).toEqual([
      '_10-1-2-3.blue.web PTR one.web',
      '_10-1-2-3.web PTR one.web',
      '_web._tcp SRV 1 1 80 one.web',
      'blue.web A 10.1.2.3',
      'one.web A 10.1.2.3',
      'one.web TXT "heritage=registrator,host=node1,engine=ENGINE-A,id=one,name=web,address=10.1.2.3,port=80,protocol=tcp,weight=1,tag=blue"',
      'web A 10.1.2.3',
    ]);
  });

  describe.each([
    ['one host', A, A],
    ['two hosts', A, B],
  ])('an address that two instances of %s share', (_, first, second) => {
    const [one, two] = [service('one', 80), service('two', 81)];
    const both = async () => {
      const a = await connected(server, first);
      const b = first === second ? a : await connected(server, second);
      await a.register([one], signal);
      await b.register([two], signal);
      return [a, b] as const;
    };
    const left = (id: string, port: number) => [
      `_10-1-2-3.web PTR ${id}.web`,
      `_web._tcp SRV 1 1 ${port} ${id}.web`,
      `${id}.web A 10.1.2.3`,
      'web A 10.1.2.3',
    ];

    it('goes with the last of them, whichever that is', async () => {
      const [a, b] = await both();
      await a.deregister([a.entry(one)], signal);
      expect(await plain(server)).toEqual(left('two', 81));
      await b.deregister([b.entry(two)], signal);
      expect(await server.records()).toEqual([]);

      await a.register([one], signal);
      await b.register([two], signal);
      await b.deregister([b.entry(two)], signal);
      expect(await plain(server)).toEqual(left('one', 80));
      await a.deregister([a.entry(one)], signal);
      expect(await server.records()).toEqual([]);
    });

    it('goes when both go at once, and stays when one goes and one comes', async () => {
      const [a, b] = await both();
      for (let round = 0; round < 20; round++) {
        await Promise.all([a.deregister([a.entry(one)], signal), b.deregister([b.entry(two)], signal)]);
        expect(await server.records()).toEqual([]);
        await a.register([one], signal);
        await Promise.all([a.deregister([a.entry(one)], signal), b.register([two], signal)]);
        expect(await plain(server)).toEqual(left('two', 81));
        await a.register([one], signal);
      }
    });

    it('stays with the one when the other gets another address', async () => {
      const [a, b] = await both();
      await a.register([service('one', 80, { address: '10.9.9.9' })], signal);
      expect((await plain(server)).filter((line) => line.startsWith('web '))).toEqual([
        'web A 10.1.2.3',
        'web A 10.9.9.9',
      ]);
      await b.register([service('two', 81, { address: '10.9.9.9' })], signal);
      expect((await plain(server)).filter((line) => / A /.test(line))).toEqual([
        'one.web A 10.9.9.9',
        'two.web A 10.9.9.9',
        'web A 10.9.9.9',
      ]);
    });

    it('goes with the last also where the other one was removed by hand, but for its claim', async () => {
      const [a] = await both();
      await server.update([
        `update delete two.web.${ZONE}.`,
        `update delete _web._tcp.${ZONE}. SRV 1 1 81 two.web.${ZONE}.`,
      ]);
      await a.registered(signal);
      await a.deregister([a.entry(one)], signal);
      expect(await server.records()).toEqual([]);
    });
  });

  it('two hosts that change one name at once both succeed', async () => {
    const [a, b] = [await connected(server, A), await connected(server, B)];
    const many = (owner: string, address: string) =>
      Array.from({ length: 40 }, (_, n) => service(`${owner}${n}`, 1_000 + n, { address }));
    const [ofA, ofB] = [many('a', '10.0.0.1'), many('b', '10.0.0.2')];
    await Promise.all([...ofA.map((one) => a.register([one], signal)), ...ofB.map((one) => b.register([one], signal))]);
    expect((await plain(server)).filter((line) => / SRV /.test(line))).toHaveLength(80);
    await Promise.all(
      [...ofA, ...ofB].map((one, n) => (n < 40 ? a : b).deregister([(n < 40 ? a : b).entry(one)], signal)),
    );
    expect(await server.records()).toEqual([]);
  });

  it('what others have at the name of a service stays', async () => {
    await server.update([
      `update add web.${ZONE}. 60 A 10.0.0.99`,
      `update add web.${ZONE}. 60 MX 10 mail.example.`,
      `update add _web._tcp.${ZONE}. 60 SRV 1 1 99 elsewhere.example.`,
      `update add other.${ZONE}. 60 TXT "an operator's own"`,
    ]);
    const before = await server.records();
    const registry = await connected(server);
    await registry.register([service('one', 80)], signal);
    expect(await server.records()).toEqual(expect.arrayContaining(before));
    await registry.deregister([registry.entry(service('one', 80))], signal);
    expect(await server.records()).toEqual(before);
  });

  it.each([
    [
      'the name of the instance is an operator’s',
      `one.web.${ZONE}. 60 A 10.0.0.99`,
      'is held by somebody without a mark',
    ],
    [
      'it has a TXT record of another program',
      `one.web.${ZONE}. 60 TXT "heritage=external-dns"`,
      'is held by somebody without a mark',
    ],
    ['the name of the service is an alias', `web.${ZONE}. 60 CNAME elsewhere.example.`, 'alias (CNAME)'],
  ])('a service is refused where %s, and nothing is changed', async (_, record, words) => {
    await server.update([`update add ${record}`]);
    const before = await server.records();
    const registry = await connected(server);
    const refused = await failure(registry.register([service('one', 80)], signal));
    expect(refused?.message).toContain(words);
    await registry.deregister([registry.entry(service('one', 80))], signal);
    expect(await server.records()).toEqual(before);
    // The others of its batch are there all the same.
    const two = service('two', 80, { name: 'shop' });
    await failure(registry.register([service('one', 80), two], signal));
    expect((await registry.registered(signal)).map(({ id }) => id)).toEqual(['two']);
  });

  it('a service with the name of the zone’s name server, and a tag with that of an instance, are refused', async () => {
    const registry = await connected(server, A, { query: '?tags=1' });
    const ns = await failure(registry.register([service('one', 80, { name: 'ns' })], signal));
    expect(ns?.message).toContain(`ns.${ZONE} is a name server of the zone`);
    await registry.register([service('one', 80, { tags: ['one'] })], signal);
    const tag = await failure(registry.register([service('two', 81, { address: '10.9.9.9', tags: ['one'] })], signal));
    expect(tag?.message).toContain('at that of a tag, an instance');
    expect((await plain(server)).filter((line) => line.startsWith('one.web'))).toEqual(['one.web A 10.1.2.3']);
  });

  it('what somebody removed of an instance comes back', async () => {
    const registry = await connected(server);
    const one = service('one', 80);
    await registry.register([one], signal);
    const whole = await server.records();
    for (const [name, type] of [
      ['one.web', 'A'],
      ['one.web', 'TXT'],
      ['_web._tcp', 'SRV'],
      ['web', 'A'],
      ['_10-1-2-3.web', 'PTR'],
      ['one.web', ''],
    ]) {
      await server.update([`update delete ${name}.${ZONE}. ${type}`]);
      const [found] = await registry.registered(signal);
      expect(found?.content, `${name} ${type}`).not.toBe(registry.entry(one).content);
      await registry.register([one], signal);
      expect(await server.records(), `${name} ${type}`).toEqual(whole);
    }
  });

  it('what an operator put beside the mark stays', async () => {
    const registry = await connected(server);
    await registry.register([service('one', 80)], signal);
    await server.update([`update add one.web.${ZONE}. 60 TXT "rack 7"`]);
    await registry.registered(signal);
    await registry.register([service('one', 81)], signal);
    await registry.deregister([registry.entry(service('one', 81))], signal);
    expect(await server.records()).toEqual(['one.web TXT "rack 7"']);
  });

  it('kill -9 of the server while thousands are registered: all are there afterwards, once', async () => {
    const services = Array.from({ length: 2_000 }, (_, n) => service(`i${n}`, 1_000 + n, { name: `web-${n % 20}` }));
    const registry = await registryOf(server);
    await using running = reconcile(registry, services);
    await eventuallyPasses(async () => expect((await server.records()).length).toBeGreaterThan(500), { everyMs: 10 });
    await server.kill9();
    await server.start();
    await eventuallyPasses(
      async () => {
        const held = await registry.registered(signal);
        expect(held.map(({ key }) => key).sort()).toEqual(services.map((one) => registry.entry(one).key).sort());
      },
      { deadlineMs: 60_000, everyMs: 500 },
    );
    const lines = await server.records();
    expect(lines).toHaveLength(2_000 * 4 + 20);
    await running.reconciler.settled();
  }, 120_000);

  it('the next server is taken over to when the present one goes, and filled', async () => {
    await using first = await new Server().start();
    const registry = await registryOf(server, A, { servers: `${first.address},${server.address}` });
    const services = [service('one', 80), service('two', 81)];
    await using _running = reconcile(registry, services);
    await eventuallyPasses(async () => expect(await plain(first)).toContain('two.web A 10.1.2.3'));
    expect(await server.records()).toEqual([]);
    await first.kill9();
    await eventuallyPasses(
      async () =>
        expect(await plain(server)).toEqual([
          '_10-1-2-3.web PTR one.web',
          '_10-1-2-3.web PTR two.web',
          '_web._tcp SRV 1 1 80 one.web',
          '_web._tcp SRV 1 1 81 two.web',
          'one.web A 10.1.2.3',
          'two.web A 10.1.2.3',
          'web A 10.1.2.3',
        ]),
      { deadlineMs: 40_000 },
    );
  });

  it('another server is taken while the first is away', async () => {
    const registry = await connected(server, A, { servers: `127.0.0.1:${await freePort()},${server.address}` });
    await registry.register([service('one', 80)], signal);
    expect(await plain(server)).toContain('one.web A 10.1.2.3');
  });

  describe('is told', () => {
    const said = async (env: Readonly<Record<string, string>>) => {
      const registry = await registryOf(server, A, { env: { ...KEY_ENV, ...env } });
      const error = await failure(registry.connect(signal));
      expect(error?.message).not.toContain(KEY.secret);
      return error?.message;
    };

    it('that the key is another one', async () => {
      expect(await said({ RFC2136_TSIG_KEYNAME: 'unknown' })).toContain('says BADKEY: it has no key "unknown"');
    });

    it('that the secret is another one, which is read again from its file', async () => {
      const file = join(server.dir, 'secret');
      writeFileSync(file, Buffer.from('wrong').toString('base64'));
      const { RFC2136_TSIG_KEYNAME } = KEY_ENV;
      const registry = await registryOf(server, A, { env: { RFC2136_TSIG_KEYNAME, RFC2136_TSIG_SECRET_FILE: file } });
      expect((await failure(registry.connect(signal)))?.message).toContain('says BADSIG: it has another secret');
      writeFileSync(file, `${KEY.secret}\n`);
      await registry.connect(signal);
    });

    it('that updates are not taken without a signature', async () => {
      const registry = await registryOf(server, A, { env: { RFC2136_INSECURE: '1' } });
      // BIND takes one that changes nothing from anybody; it is the transfer that it refuses.
      const error = await failure(registry.connect(signal).then(() => registry.registered(signal)));
      expect(error?.message).toMatch(/says (REFUSED|NOTAUTH): /);
    });

    it('that the zone is not there', async () => {
      const registry = await createRegistry(`rfc2136://${server.address}/other.example`, {
        owner: A,
        env: KEY_ENV,
        log,
      });
      open.push(registry);
      expect((await failure(registry.connect(signal)))?.message).toMatch(/says (REFUSED|NOTAUTH): .*other\.example/);
    });
  });
});

describe('rfc2136:// at BIND', () => {
  const servers: DnsTestServer[] = [];
  afterAll(() => Promise.all(servers.map((server) => server.dispose())));
  const bind = async (options: string) => {
    const server = await new BindServer([ZONE], options).start();
    servers.push(server);
    return server;
  };

  it('a server that gives no zone transfer is told, with the line that helps', async () => {
    const registry = await registryOf(
      await bind(`update-policy { grant ${KEY.name} zonesub ANY; }; allow-transfer { none; };`),
    );
    await registry.connect(signal);
    expect((await failure(registry.registered(signal)))?.message).toContain(
      'BIND: allow-transfer { key registrator; }; in the zone.',
    );
  });

  it('one service that the policy forbids harms no other of its batch', async () => {
    const policy = `update-policy { deny ${KEY.name} subdomain secret.${ZONE}. ANY; grant ${KEY.name} zonesub ANY; };`;
    const registry = await connected(await bind(`${policy} allow-transfer { key ${KEY.name}; };`));
    const services = ['web', 'secret', 'shop'].map((name) => service(`one-${name}`, 80, { name }));
    const error = await failure(registry.register(services, signal));
    const failures = [...((error as { failures?: ReadonlyMap<string, Error> }).failures ?? [])];
    expect(failures.map(([key]) => key)).toEqual([`one-secret.secret.${ZONE}`]);
    expect(failures[0]?.[1]).toBeInstanceOf(ForbiddenError);
    expect((await registry.registered(signal)).map(({ name }) => name).sort()).toEqual(['shop', 'web']);
  });

  it('a zone with records of many kinds is read', async () => {
    const server = await bind(`update-policy { grant ${KEY.name} zonesub ANY; }; allow-transfer { key ${KEY.name}; };`);
    await server.update(
      [
        'x CAA 0 issue "ca.example"',
        'x TLSA 3 1 1 00ff',
        'x SSHFP 1 1 123456789abcdef67890123456789abcdef67890',
        'x LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m',
        'x RP a.example. b.example.',
        'x HINFO "a" "b"',
        'x NAPTR 10 10 "u" "E2U+sip" "!^.*$!sip:a@example!" .',
        'x HTTPS 1 . alpn=h2',
        'x URI 10 1 "https://example/"',
        'x TYPE65280 \\# 4 0a000001',
        '\\003\\.x TXT "\\000\\255"',
        'd DNAME example.',
        '*.w A 10.0.0.1',
      ].map((record) => `update add ${record.replace(' ', `.${ZONE}. 60 `)}`),
    );
    const registry = await connected(server);
    await registry.register([service('one', 80)], signal);
    expect((await registry.registered(signal)).map(({ id }) => id)).toEqual(['one']);
  });
});
