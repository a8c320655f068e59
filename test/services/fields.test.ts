import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deriveSample, only, told } from './snapshots.ts';

const TWO = { image: 'nginx', published: { '80/tcp': ['8000'], '443/tcp': ['4443'] } };
const DNS = { image: 'named', published: { '53/tcp': ['5300'], '53/udp': ['5300'] } };

const metaOf = (sample: Parameters<typeof deriveSample>[0]) => deriveSample(sample).services.map(({ meta }) => meta);

describe('metadata', () => {
  test('is every other field, lower case, the checks’ included', () => {
    const env = {
      SERVICE_Region: 'us2',
      SERVICE_CHECK_TTL: '30s',
      SERVICE_6379_FOO_BAR: 'deep',
      SERVICE_80: 'x',
      PATH: '/bin',
    };
    expect(only({ env }).meta).toEqual({ '80': 'x', check_ttl: '30s', foo_bar: 'deep', region: 'us2' });
  });

  test('has no field with a meaning of its own', () => {
    const names = ['NAME', 'ID', 'TAGS', 'IGNORE', 'IP', 'PORT', 'INTERNAL', 'WEIGHT', 'NETWORK'];
    expect(only({ env: Object.fromEntries(names.map((name) => [`SERVICE_${name}`, ''])) }).meta).toEqual({});
  });

  test('keys in lower case are not ours', () => {
    expect(only({ env: { service_name: 'lower' } })).toMatchObject({ name: 'redis', meta: {} });
  });

  test('values may hold anything', () => {
    expect(only({ env: { SERVICE_A: 'x=y\n"z"' } }).meta).toEqual({ a: 'x=y\n"z"' });
  });

  test('a key like __proto__ is a key', () => {
    expect(Object.entries(only({ labels: { SERVICE___proto__: 'x' } }).meta)).toEqual([['__proto__', 'x']]);
  });

  test('is all of it there, whatever the names (property)', () => {
    const field = fc
      .stringMatching(/^[A-Z_]{1,12}$/)
      .filter((name) => !/^(NAME|ID|TAGS|IGNORE|IP|PORT|INTERNAL|WEIGHT|NETWORK)$/.test(name));
    fc.assert(
      fc.property(fc.dictionary(field, fc.string()), (fields) => {
        const labels = Object.fromEntries(Object.entries(fields).map(([name, value]) => [`SERVICE_${name}`, value]));
        const expected = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
        expect(only({ labels }).meta).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
});

describe('what wins', () => {
  test('a label over the environment', () => {
    expect(only({ env: { SERVICE_A: 'env' }, labels: { SERVICE_A: 'label' } }).meta).toEqual({ a: 'label' });
  });

  test('the port over the container, even from the environment', () => {
    expect(metaOf({ ...TWO, env: { SERVICE_80_A: 'port' }, labels: { SERVICE_A: 'all' } })).toEqual([
      { a: 'port' },
      { a: 'all' },
    ]);
  });

  test('port and protocol over port, over a range, over the container', () => {
    const labels = { SERVICE_A: 'all', 'SERVICE_50-60_A': 'range', SERVICE_53_A: 'port', SERVICE_53_UDP_A: 'udp' };
    expect(metaOf({ ...DNS, labels })).toEqual([{ a: 'port' }, { a: 'udp' }]);
    const { SERVICE_53_A, ...ranged } = labels;
    expect(metaOf({ ...DNS, labels: ranged })).toEqual([{ a: 'range' }, { a: 'udp' }]);
  });

  test('the narrower range', () => {
    const labels = { 'SERVICE_1-100_A': 'wide', 'SERVICE_80-81_A': 'narrow', 'SERVICE_79-82_A': 'middle' };
    expect(metaOf({ ...TWO, labels })).toEqual([{ a: 'narrow' }, {}]);
  });

  test('a range with a protocol', () => {
    expect(metaOf({ ...DNS, labels: { 'SERVICE_50-60_udp_A': 'x' } })).toEqual([{}, { a: 'x' }]);
  });

  test('capitals over small letters', () => {
    expect(only({ labels: { SERVICE_a: 'small', SERVICE_A: 'capital' } }).meta).toEqual({ a: 'capital' });
    expect(only({ labels: { SERVICE_A: 'capital', SERVICE_a: 'small' } }).meta).toEqual({ a: 'capital' });
  });
});

describe('keys that look like ours', () => {
  test('are ignored, with one notice', () => {
    const env = {
      SERVICE_: 'x',
      SERVICE_6379_: 'y',
      SERVICE_999_NAME: 'z',
      SERVICE_06379_NAME: 'w',
      'SERVICE_9-1_A': 'v',
      SERVICE_6379_TCP_: 'u',
    };
    const derivation = deriveSample({ env });
    expect(derivation.services[0]).toMatchObject({ name: 'redis', meta: {} });
    expect(derivation.notices).toHaveLength(1);
    expect(told(derivation, 'debug')).toEqual([
      '"SERVICE_", "SERVICE_06379_NAME", "SERVICE_6379_", "SERVICE_6379_TCP_", "SERVICE_9-1_A", "SERVICE_999_NAME" name no field, or no port of this container; ignored.',
    ]);
  });

  test('fill no log', () => {
    const env = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`SERVICE_${index + 7000}_NAME`, 'x']));
    expect(told(deriveSample({ env }), 'debug')[0]).toMatch(/ and 490 more name no field/);
  });
});
