import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { hostAddress } from '../../src/discovery/host-address.ts';

const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ internal }) => !internal)
  .map(({ address }) => address);

describe("the host's address", () => {
  it('is one of its own that is no loopback, where the name says nothing of use', async () => {
    for (const name of ['localhost', 'no-such-host.invalid']) {
      const address = await hostAddress(name, 4);
      expect([undefined, ...own]).toContain(address);
    }
  });

  it('is what the name resolves to, where others could reach that', async () => {
    expect(await hostAddress('198.51.100.7', 4)).toBe('198.51.100.7');
    expect(await hostAddress('2001:db8::7', 6)).toBe('2001:db8::7');
  });

  it('is never a loopback or link-local address', async () => {
    expect(await hostAddress('127.0.0.1', 4)).not.toBe('127.0.0.1');
    expect(await hostAddress('::1', 6)).not.toBe('::1');
    expect(await hostAddress('169.254.1.1', 4)).not.toBe('169.254.1.1');
  });
});
