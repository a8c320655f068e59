import fc from 'fast-check';
import type { ContainerSpec } from '../support/simulated-container.ts';

/** What somebody may say who may start a container and nothing else, by kinds; each kind in any size and depth. */
const upTo = (most: number) => fc.oneof(fc.integer({ min: 1, max: most }), fc.constantFrom(most, most - 1));
const many = (count: number, entry: (index: number) => [string, string]) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index + 1)));
const published = (count: number): NonNullable<ContainerSpec['publish']> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${index + 1}/tcp`,
      [{ HostIp: '0.0.0.0', HostPort: String(index + 1) }],
    ]),
  );
const exposed = (count: number) =>
  Array.from(
    { length: count },
    (_, index) => `${(index % 65_535) + 1}/${['tcp', 'udp', 'sctp'][Math.trunc(index / 65_535)]}`,
  );

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.constantFrom('\u0000', '\ud800', '\u202e', '\u001b[2J', '\r\n', '{{', '}}', '"', '\\,', '../..', '%00'),
);
const field = fc.constantFrom(
  ...['NAME', 'ID', 'TAGS', 'IGNORE', 'IP', 'PORT', 'INTERNAL', 'WEIGHT', 'NETWORK', 'DRAIN', 'X'],
  ...['HTTP', 'CMD', 'SCRIPT', 'TTL', 'TCP', 'GRPC', 'INTERVAL', 'TIMEOUT', 'HTTP_HEADER', 'HTTP_METHOD'].map(
    (name) => `CHECK_${name}`,
  ),
);

const KINDS: Readonly<Record<string, fc.Arbitrary<ContainerSpec>>> = {
  'bytes that are no text': fc.array(fc.tuple(field, anyText), { minLength: 1, maxLength: 20 }).map((pairs) => ({
    labels: Object.fromEntries(pairs.map(([name, text]) => [`SERVICE_${name}`, text])),
    publish: published(3),
  })),
  'a long value': fc
    .tuple(field, upTo(1_000_000), fc.constantFrom('x', ',', '/', '"', '{{', 'A: n|', '\\,', '((', '|'))
    .map(([name, length, unit]) => ({
      labels: { [`SERVICE_${name}`]: unit.repeat(length / unit.length) },
      publish: published(20),
    })),
  'a long key': upTo(200_000).map((length) => ({
    labels: { [`SERVICE_${'K'.repeat(length)}`]: 'v' },
    publish: published(2),
  })),
  'many labels': upTo(10_000).map((count) => ({
    labels: many(count, (n) => [`label.${n}`, `value ${n}`]),
    publish: published(5),
  })),
  'much metadata': fc.tuple(upTo(10_000), upTo(500)).map(([count, ports]) => ({
    labels: many(count, (n) => [`SERVICE_X${n}`, 'v'.repeat(n % 600)]),
    publish: published(ports),
  })),
  'many variables': upTo(10_000).map((count) => ({
    env: Array.from({ length: count }, (_, n) => `SERVICE_A${n}=v`),
    publish: published(5),
  })),
  'many bad tags': upTo(60_000).map((count) => ({
    labels: { SERVICE_TAGS: Array.from({ length: count }, (_, n) => `{{ .X${n}`).join(',') },
    publish: published(3),
  })),
  'many published ports': upTo(3_000).map((count) => ({ publish: published(count) })),
  'many exposed ports': upTo(60_000).map((count) => ({ expose: exposed(count), publish: published(1) })),
  'labels for every port': fc.tuple(upTo(1_000), field, anyText).map(([ports, name, text]) => ({
    labels: many(ports, (port) => [`SERVICE_${port}_${name}`, `${text}${port}`]),
    publish: published(ports),
  })),
  'many ranges of ports': upTo(5_000).map((count) => ({
    labels: many(count, (n) => [`SERVICE_${n}-${n + 900}_X${n}`, 'v']),
    publish: published(300),
  })),
  'many headers': fc.tuple(upTo(20_000), upTo(500)).map(([headers, ports]) => ({
    labels: { SERVICE_CHECK_HTTP: '/', SERVICE_CHECK_HTTP_HEADER: 'A: n|'.repeat(headers) },
    publish: published(ports),
  })),
  'silent checks': upTo(120).map((ports) => ({
    labels: { SERVICE_CHECK_TCP: 'true', SERVICE_CHECK_INTERVAL: '1s', SERVICE_CHECK_TIMEOUT: '60s' },
    publish: published(ports),
  })),
  'checks of other addresses': fc
    .constantFrom('169.254.169.254', '::ffff:169.254.169.254', '0xa9fea9fe', '127.0.0.1', 'localhost', '192.0.2.1')
    .map((address) => ({
      labels: { SERVICE_CHECK_HTTP: '/', SERVICE_IP: address, SERVICE_PORT: '80' },
      publish: published(2),
    })),
  'one ID for all ports': upTo(1_000).map((ports) => ({
    labels: many(ports, (port) => [`SERVICE_${port}_ID`, 'the-same']),
    publish: published(ports),
  })),
  'somebody else’s ID': fc.constant({ labels: { SERVICE_ID: 'simulated:app-1:8000' }, publish: published(1) }),
};

export interface Hostile {
  readonly kind: string;
  readonly spec: ContainerSpec;
}

export const hostileContainer: fc.Arbitrary<Hostile> = fc.oneof(
  ...Object.entries(KINDS).map(([kind, specs]) => specs.map((spec) => ({ kind, spec }))),
);
