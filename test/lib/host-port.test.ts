import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostPort, parseHostPort, portNumber } from '../../src/lib/host-port.ts';

test('an IPv6 address is put in brackets, and nothing else', () => {
  expect(hostPort('192.0.2.1', 80)).toBe('192.0.2.1:80');
  expect(hostPort('web.example.com', 80)).toBe('web.example.com:80');
  expect(hostPort('2001:db8::1', 80)).toBe('[2001:db8::1]:80');
  expect(hostPort('fe80::1%eth0', 80)).toBe('[fe80::1%eth0]:80');
  expect(hostPort('', 0)).toBe(':0');
});

test.each([
  ['192.0.2.1:80', '192.0.2.1', 80],
  ['my_host.example.com:65535', 'my_host.example.com', 65535],
  ['[2001:db8::1]:80', '2001:db8::1', 80],
  ['[fe80::1%eth0]', 'fe80::1%eth0', undefined],
  ['host', 'host', undefined],
  [':0', '', 0],
  ['', '', undefined],
])('%j is the host %j and the port %s', (text, host, port) => {
  expect(parseHostPort(text)).toEqual({ host, port });
});

test.each([
  'host:',
  'host:x',
  'host:65536',
  'host:080',
  'host:-1',
  'host:1e3',
  '::1',
  '[]:80',
  '[192.0.2.1]:80',
  '[::1',
  'a b',
  'user@host',
  'host/path',
  'host\n',
])('%j is no host and port', (text) => {
  expect(parseHostPort(text)).toBeUndefined();
});

test('what is written is read back', () => {
  const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(hosts, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      expect(parseHostPort(hostPort(host, port))).toEqual({ host, port });
    }),
  );
});

test('no text gives a port that there is not', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseHostPort(text)?.port ?? 0).toBeLessThanOrEqual(65_535);
      expect(parseHostPort(`:${text}`)?.port ?? 1).toBe(text === '0' ? 0 : (portNumber(text) ?? 1));
    }),
  );
});
