import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { derive, joinedContainer, needsImageTags, parseTagTemplate } from '../../src/services/index.ts';
import { OPTIONS, snapshot } from './snapshots.ts';

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
