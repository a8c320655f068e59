import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCommandLine } from '../../src/cli/command-line.ts';
import { createProgram } from '../../src/cli/program.ts';
import { parseUpstreams } from '../../src/cli/upstreams.ts';

/** The flags of the embedded catalogue. */

const read = (...argv: string[]) => readCommandLine(createProgram('1.2.3'), argv, {}).options;

test.each([
  [[], undefined],
  [['--dns-domain', 'svc.example.com.'], { domain: 'svc.example.com' }],
  [['--dns-domain=.local', '--dns-ttl', '0'], { domain: 'local', ttl: 0 }],
  [['-dns-ttl=30', 'memory://:8501'], { ttl: 30 }],
  [['--dns-forward', '192.0.2.1'], { forward: [{ host: '192.0.2.1', port: 53 }] }],
  [
    ['--snapshot', '/var/lib/registrator/snapshot.json', 'memory://'],
    { snapshot: '/var/lib/registrator/snapshot.json' },
  ],
  [['--snapshot', 'x', 'memory://', 'consul://localhost:8500'], { snapshot: 'x' }],
])('%j means %j', (argv, catalogue) => {
  expect(read(...argv).catalogue).toEqual(catalogue);
});

test.each([
  [['--dns-domain', 'a b'], 'It takes a domain name'],
  [['--dns-domain', ''], 'It takes a domain name'],
  [['--dns-domain', 'a..b'], 'It takes a domain name'],
  [['--dns-ttl', '-1'], 'It takes a whole number of seconds'],
  [['--dns-forward', 'dns.example.com'], 'It takes IP addresses'],
  [['--dns-forward', '192.0.2.1,'], 'It takes IP addresses'],
  [['--dns-forward', '192.0.2.1:0'], 'It takes IP addresses'],
  [['--snapshot', ''], '--snapshot takes the name of a file.'],
  [['--snapshot', 'x', 'memory://', 'memory://:8501'], '--snapshot is for one catalogue'],
  [['--dns-ttl', '5', 'consul://localhost:8500'], 'are for memory://: add it, or drop them.'],
])('%j is refused in words', (argv, words) => {
  expect(() => read(...argv)).toThrow(words);
});

test.each([
  ['192.0.2.1:5353', [{ host: '192.0.2.1', port: 5353 }]],
  ['2001:db8::1', [{ host: '2001:db8::1', port: 53 }]],
  ['[2001:db8::1]', [{ host: '2001:db8::1', port: 53 }]],
  [
    '[::1]:5353, 192.0.2.1',
    [
      { host: '::1', port: 5353 },
      { host: '192.0.2.1', port: 53 },
    ],
  ],
  ['[192.0.2.1]', undefined],
  ['192.0.2.1:65536', undefined],
  ['localhost', undefined],
])('the resolvers %s', (text, upstreams) => {
  expect(parseUpstreams(text)).toEqual(upstreams);
});

test('any text is a list of resolvers or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
      for (const { port } of parseUpstreams(text) ?? []) expect(port).toBeGreaterThan(0);
    }),
  );
});
