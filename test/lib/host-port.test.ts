import { expect, it } from 'vitest';
import { hostPort } from '../../src/lib/host-port.ts';

it('puts brackets around an IPv6 address, and around nothing else', () => {
  expect(hostPort('192.0.2.1', 80)).toBe('192.0.2.1:80');
  expect(hostPort('web.example.com', 80)).toBe('web.example.com:80');
  expect(hostPort('2001:db8::1', 80)).toBe('[2001:db8::1]:80');
  expect(hostPort('fe80::1%eth0', 80)).toBe('[fe80::1%eth0]:80');
  expect(hostPort('', 0)).toBe(':0');
});
