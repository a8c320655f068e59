import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { consulKv, ownerFlags } from '../../../src/registries/consul/kv.ts';
import { serviceOf } from '../service.ts';

const context = { owner: { host: 'node1', engine: 'ENGINE' }, env: {}, log: pino({ level: 'silent' }) };

async function entryAt(uri: string, change: Parameters<typeof serviceOf>[1]) {
  const registry = await consulKv(uri, context);
  await registry.close();
  return registry.entry(serviceOf(80, change));
}

describe('a consulkv entry', () => {
  test.each([
    ['consulkv://127.0.0.1:8500/services', {}, 'services/web/node1:web:80', '10.1.2.3:80'],
    ['consulkv://127.0.0.1:8500/a/b/', {}, 'a/b/web/node1:web:80', '10.1.2.3:80'],
    ['consulkv://127.0.0.1:8500/a%20b', {}, 'a b/web/node1:web:80', '10.1.2.3:80'],
    ['consulkv://127.0.0.1:8500', {}, 'web/node1:web:80', '10.1.2.3:80'],
    ['consulkv-unix:///run/consul.sock:/a', {}, 'a/web/node1:web:80', '10.1.2.3:80'],
    ['consulkv://h/p', { address: '2001:db8::1' }, 'p/web/node1:web:80', '[2001:db8::1]:80'],
    ['consulkv://h/p', { name: 'a/b', id: '../c' }, 'p/a%2Fb/..%2Fc', '10.1.2.3:80'],
    ['consulkv://h/p', { name: '..', id: '' }, 'p/%2E%2E/%', '10.1.2.3:80'],
  ] as const)('%s with %j lies at %s', async (uri, change, key, content) => {
    expect(await entryAt(uri, change)).toMatchObject({ key, content });
  });

  test.each([
    'consulkv://h/a/../b',
    'consulkv://h/./b',
    'consulkv://h/a//b',
    'consulkv://h/%2E%2E',
    'consulkv://h/%zz',
  ])('%s is refused', async (uri) => {
    await expect(consulKv(uri, context)).rejects.toThrow(/prefix in the consulkv URI/);
  });

  test.each([1, 9, 86_401])('a TTL of %i s, which Consul would refuse, is refused at the start', async (ttl) => {
    await expect(consulKv('consulkv://h/p', { ...context, ttl })).rejects.toThrow(
      `--ttl ${ttl} does not do for consulkv: Consul takes sessions of 10 to 86400 seconds.`,
    );
  });

  test('the owner’s flags are a number that JSON holds exactly, of host and engine', () => {
    const hex = (host: string, engine: string) => ownerFlags({ host, engine }).toString(16);
    expect(hex('node1', 'ENGINE')).toMatch(/^52[0-9a-f]{11}$/);
    expect(hex('node1', 'OTHER').slice(0, 8)).toBe(hex('node1', 'ENGINE').slice(0, 8));
    expect(hex('node2', 'ENGINE').slice(8)).toBe(hex('node1', 'ENGINE').slice(8));
    expect(hex('node2', 'ENGINE').slice(0, 8)).not.toBe(hex('node1', 'ENGINE').slice(0, 8));
    expect(hex('node1', 'OTHER').slice(8)).not.toBe(hex('node1', 'ENGINE').slice(8));
  });
});
