import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { derive, joinedContainer, needsImageTags, parseTagTemplate } from '../../src/services/index.ts';
import { deriveSample, OPTIONS, only, snapshot, told } from './snapshots.ts';

const TAGS = parseTagTemplate(
  '{{ .Config.Image }},{{ index .Config.Labels "a" }},{{ range .Mounts }}{{ . }}{{ end }},{{ .State }}',
);

const json = fc.jsonValue({ maxDepth: 3 });
const maybe = (real: fc.Arbitrary<unknown>) => fc.oneof({ weight: 20, arbitrary: real }, json, fc.constant(undefined));

const asText = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

const port = maybe(
  fc.constantFrom('80/tcp', '53/udp', '53', '0/tcp', '99999/tcp', '80-90/tcp', 'x', '9/sctp', '80/http'),
);
const address = maybe(
  fc.constantFrom('', '172.17.0.2', '::', '0.0.0.0', '127.0.0.1', 'fe80::1%eth0', 'x', '::ffff:10.0.0.1'),
);
const binding = maybe(fc.record({ HostIp: address, HostPort: maybe(fc.constantFrom('80', '0', '', '65536', '1')) }));
const ports = (value: fc.Arbitrary<unknown>) =>
  maybe(
    fc
      .array(fc.tuple(port.map(asText), value), { minLength: 1, maxLength: 4 })
      .map((entries) => Object.fromEntries(entries)),
  );
const fieldName = fc.oneof(
  fc.constantFrom(
    ...['NAME', 'ID', 'TAGS', 'IGNORE', 'IP', 'PORT', 'INTERNAL', 'WEIGHT', 'NETWORK', 'ENABLE_TAG_OVERRIDE'],
    ...['HTTP', 'HTTPS', 'CMD', 'SCRIPT', 'TTL', 'TCP', 'GRPC', 'DOCKER', 'INTERVAL', 'HTTP_HEADER', 'HTTP_METHOD'].map(
      (name) => `CHECK_${name}`,
    ),
  ),
  fc.string(),
);
const key = fc
  .tuple(fc.constantFrom('SERVICE_', 'SERVICE_80_', 'SERVICE_53_UDP_', 'SERVICE_1-99_', 'service_', ''), fieldName)
  .map((parts) => parts.join(''));
const value = maybe(
  fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'true',
      'false',
      '10s',
      '{{ .Name }}',
      '{{',
      '{{ index .Args 9 }}',
      '\\,',
      '"',
      '{"a":1}',
      '{"A":null}',
      '10.0.0.1',
      'x'.repeat(5000),
    ),
  ),
);
const labels = maybe(fc.array(fc.tuple(key, value), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)));
const environment = maybe(
  fc.array(
    fc.tuple(key, value).map(([name, text]) => `${name}=${asText(text)}`),
    { maxLength: 6 },
  ),
);
const network = maybe(fc.record({ IPAddress: address, GlobalIPv6Address: address, NetworkID: json }));

const arbitrarySnapshot = maybe(
  fc.record({
    Id: maybe(fc.constantFrom('a'.repeat(64), 'b')),
    Name: maybe(fc.constantFrom('/web', 'web', '/')),
    Image: maybe(fc.constant('sha256:0123')),
    Config: maybe(
      fc.record({
        Image: maybe(fc.constantFrom('redis', '0123', '')),
        Env: environment,
        Labels: labels,
        ExposedPorts: ports(json),
      }),
    ),
    State: maybe(
      fc.record({
        Status: maybe(fc.constantFrom('running', 'running', 'paused', 'exited')),
        Running: json,
        Health: maybe(fc.record({ Status: maybe(fc.constantFrom('healthy', 'none')), Log: json })),
        StartedAt: json,
      }),
    ),
    HostConfig: maybe(
      fc.record({
        NetworkMode: maybe(fc.constantFrom('bridge', 'host', 'none', 'container:x', 'container:', 'back')),
      }),
    ),
    NetworkSettings: maybe(
      fc.record({
        IPAddress: address,
        Ports: ports(maybe(fc.array(binding, { maxLength: 3 }))),
        Networks: maybe(fc.dictionary(fc.constantFrom('back', 'bridge', '__proto__'), network)),
      }),
    ),
  }),
) as fc.Arbitrary<ContainerSnapshot>;

const flags = fc.record({
  internal: fc.boolean(),
  explicit: fc.constantFrom(false, false, false, true),
  ipFromContainer: fc.boolean(),
  dockerHealth: fc.boolean(),
  healthTtl: fc.constant(86_400),
  ipFamily: fc.constantFrom(4 as const, 6 as const),
  hostAddress: fc.constantFrom({}, { 4: '10.0.0.1' }, { 6: '2001:db8::1' }),
});

test('deriving throws on no snapshot, and its services are well-formed (property)', () => {
  let registered = 0;
  fc.assert(
    fc.property(arbitrarySnapshot, arbitrarySnapshot, flags, (container, joined, options) => {
      needsImageTags(container);
      const context = joinedContainer(container) === undefined ? {} : { joined };
      const all = { ...OPTIONS, ...options, tags: TAGS, network: 'back', useIpFromLabel: 'SERVICE_IP' };
      const derivation = derive(container, all, context);
      registered += derivation.services.length;
      for (const service of derivation.services) {
        expect(service.address).not.toBe('');
        expect(service.name).not.toBe('');
        expect(service.port).toBeGreaterThan(0);
        expect(service.port).toBeLessThan(65_536);
        expect(service.tags).not.toContain('');
        expect(Object.values(service.meta).every((text) => typeof text === 'string')).toBe(true);
      }
      expect(new Set(derivation.services.map(({ id }) => id)).size).toBe(derivation.services.length);
      expect(derivation).toEqual(derive(container, all, context));
      for (const { message } of derivation.notices) expect(message).not.toMatch(/[\n\r]/);
    }),
    { numRuns: 500 },
  );
  // Else it would say nothing. About a hundred are, by chance more or less.
  expect(registered).toBeGreaterThan(10);
}, 30_000);

test('a joined container that is the container itself ends', () => {
  const self = snapshot({ networkMode: 'container:self', id: 'self' });
  expect(derive(self, OPTIONS, { joined: self }).services).toHaveLength(1);
});

describe('one container gets so much, and no more', () => {
  const many = (count: number, entry: (index: number) => [string, string]) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index + 1)));
  const published = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index + 1}/tcp`, [`${index + 1}`]]));

  test('1,000 ports', () => {
    const derivation = deriveSample({ published: published(1_200), exposed: ['5/udp'] });
    expect(derivation.services).toHaveLength(1_000);
    expect(told(derivation)).toEqual(['it has more than 1000 ports; those beyond are not registered.']);
  });

  test('ports that are published come before those that are exposed only', () => {
    const exposed = Object.keys(published(5_000));
    const { services } = deriveSample({ exposed, published: { '6379/tcp': ['16379'] } });
    expect(services.map(({ port }) => port)).toEqual([16_379]);
  });

  test('--tags that ask for too much on a container are dropped there and named, and the rest stands', () => {
    const labels = {
      ...many(10_000, (index) => [`l${index}`, 'v']),
      SERVICE_OWNER: 'team',
    };
    const tags = parseTagTemplate('a,{{ range .Config.Labels }}{{ range $.Config.Labels }}{{ end }}{{ end }},b');
    const derivation = deriveSample({ labels }, { tags });
    expect(derivation.services[0]).toMatchObject({ name: 'redis', tags: ['a'], meta: { owner: 'team' } });
    expect(told(derivation)).toEqual([
      '--tags asks for more work than one container gets, and what is not done is left out.',
    ]);
  });

  test('a label for each of a thousand ports: those that the budget does not reach are named in one warning', () => {
    const long = Array.from({ length: 9 }, (_, index) => String(index).repeat(900)).join(',');
    const labels = many(1_000, (port) => [`SERVICE_${port}_TAGS`, `p${port},${long}`]);
    const derivation = deriveSample({ published: published(1_000), labels });
    expect(derivation.services).toHaveLength(1_000);
    expect(derivation.services[0]?.tags).toHaveLength(10);
    expect(told(derivation)).toEqual([
      expect.stringMatching(/^the tags and metadata of port 183\/tcp, .* and \d+ more ask for more work/),
    ]);
    const written = derivation.services.flatMap(({ tags }) => tags).join('').length;
    expect(written).toBeGreaterThan(1_400_000);
    expect(written).toBeLessThan(1_600_000);
  });

  test('names and IDs of 255 bytes', () => {
    const long = 'é'.repeat(128);
    const derivation = deriveSample({ labels: { SERVICE_NAME: long, SERVICE_ID: long } });
    expect(derivation.services[0]).toMatchObject({ name: 'redis', id: 'node1:web:6379' });
    expect(told(derivation).map((sentence) => sentence.replace(/"é+…"/, '"…"'))).toEqual([
      '"SERVICE_ID" is "…", which is longer than the 255 bytes of an ID; it is ignored.',
      '"SERVICE_NAME" is "…", which is longer than the 255 bytes of a name; it is ignored.',
    ]);
    expect(only({ labels: { SERVICE_NAME: 'x'.repeat(255) } }).name).toBe('x'.repeat(255));
    const unnamed = deriveSample({ name: 'x'.repeat(300) });
    expect(unnamed.services).toEqual([]);
    expect(unnamed.ignored).toEqual([
      { port: '6379/tcp', reason: 'its ID would have more than 255 bytes; set SERVICE_ID to a shorter one' },
    ]);
  });

  test('tags of 1,000 bytes, and 1,000 of them', () => {
    const long = deriveSample({ labels: { SERVICE_TAGS: `a,${'x'.repeat(1_001)},b` } });
    expect(long.services[0]?.tags).toEqual(['a', 'b']);
    expect(told(long)).toEqual(['"SERVICE_TAGS" has tags of more than 1000 bytes, which are left out.']);
    const count = deriveSample({
      labels: { SERVICE_TAGS: Array.from({ length: 1_500 }, (_, index) => `t${index}`).join(',') },
    });
    expect(count.services[0]?.tags).toHaveLength(1_000);
    expect(told(count)).toEqual(['"SERVICE_TAGS" has tags beyond the first 1000, which are left out.']);
  });

  test('metadata as Consul takes it: 64 pairs, keys of 128 characters, values of 512 bytes', () => {
    const labels = {
      ...many(70, (index) => [`SERVICE_X${String(index).padStart(2, '0')}`, 'v']),
      SERVICE_CHECK_HTTP: '/',
    };
    const count = deriveSample({ labels });
    expect(Object.keys(count.services[0]?.meta ?? {})).toHaveLength(64);
    expect(count.services[0]).toMatchObject({ meta: { check_http: '/', x63: 'v' }, check: { type: 'http' } });
    expect(told(count)).toEqual([
      '"SERVICE_X64", "SERVICE_X65", "SERVICE_X66", "SERVICE_X67", "SERVICE_X68", "SERVICE_X69", "SERVICE_X70" are beyond the 64 pairs of a service\'s metadata, and left out.',
    ]);
    const size = deriveSample({
      labels: { SERVICE_A: 'x'.repeat(513), [`SERVICE_${'B'.repeat(129)}`]: 'v', SERVICE_C: 'v' },
    });
    expect(size.services[0]?.meta).toEqual({ c: 'v' });
    expect(told(size)).toHaveLength(2);
  });

  test('4,096 characters of headers, which are read once', () => {
    const labels = { SERVICE_CHECK_HTTP: '/', SERVICE_CHECK_HTTP_HEADER: 'A: n|'.repeat(20_000) };
    const derivation = deriveSample({ labels });
    expect(derivation.services[0]?.check).not.toHaveProperty('headers');
    expect(told(derivation)).toEqual([
      expect.stringMatching(/"SERVICE_CHECK_HTTP_HEADER" is .* longer than 4096 characters/),
    ]);
    const fit = deriveSample({
      labels: { ...labels, SERVICE_CHECK_HTTP_HEADER: 'A: n|'.repeat(800) },
      published: published(1_000),
    });
    const headers = fit.services.map(({ check }) => (check?.type === 'http' ? check.headers : undefined));
    expect(headers[0]?.A).toHaveLength(800);
    expect(new Set(headers).size).toBe(1);
  });
});
