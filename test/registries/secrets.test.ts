import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createRegistry, SCHEMES } from '../../src/registries/index.ts';

const context = { owner: { host: 'node1', engine: 'E' }, env: {}, log: pino({ level: 'silent' }) };

async function open(uri: string): Promise<string> {
  try {
    const registry = await createRegistry(uri, context);
    await registry.close();
    return registry.name;
  } catch (error) {
    return (error as Error).message;
  }
}

const NETWORKED = SCHEMES.filter((scheme) => !scheme.endsWith('-unix'));

test.each(
  NETWORKED.flatMap((scheme) => [
    `${scheme}://user:hunter2@h/p`,
    `${scheme}://h/p?token=hunter2`,
    `${scheme}://h/?a=b&PASSWORD=hunter2`,
  ]),
)('%s is refused, and not shown', async (uri) => {
  const said = await open(uri);
  expect(said).toMatch(
    /^The \S+ URI holds a user, a password or a token, which everybody on the host could read: .*\.$/,
  );
  expect(said).not.toContain('hunter2');
});

test.each([
  ['consul://h?token=x', 'give it by CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE instead'],
  [
    'consulkv-unix:///run/consul.sock:/prefix?token=x',
    'give it by CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE instead',
  ],
  ['coredns+tls://u:p@h/example', 'give it by ETCD_USERNAME, and ETCD_PASSWORD or ETCD_PASSWORD_FILE instead'],
  [
    'rfc2136://key:c2VjcmV0@ns1/example',
    'give it by RFC2136_TSIG_KEYNAME, and RFC2136_TSIG_SECRET or RFC2136_TSIG_SECRET_FILE instead',
  ],
  ['zookeeper://u:p@h/x', 'registrator takes no secret for this registry'],
])('%s: %s', async (uri, advice) => {
  expect(await open(uri)).toContain(advice);
});

test.each([
  'consul://h:8500',
  'consulkv://h/a-prefix',
  'etcd://h1,h2:2379/services',
  'consul-unix:///run/@x/consul.sock',
])('%s holds none', async (uri) => {
  expect(await open(uri)).not.toContain('holds a user');
});

test('nothing of a password is shown, wherever characters of it stand (property)', async () => {
  const garbage = fc.string({ unit: fc.constantFrom(...'/:@?#%[], '.split('')), maxLength: 4 });
  const scheme = fc.constantFrom(...NETWORKED);
  await fc.assert(
    fc.asyncProperty(scheme, garbage, garbage, garbage, async (of, a, b, c) => {
      expect(await open(`${of}://user${a}:hunter2${b}@h${c}/x`)).not.toContain('hunter2');
    }),
  );
});
