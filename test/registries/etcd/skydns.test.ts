import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { skydnsLayout } from '../../../src/registries/etcd/skydns.ts';
import { idLabel, nameLabel } from '../../../src/registries/kit/index.ts';
import { hostile } from '../hostile.ts';

const skydns = skydnsLayout(['skydns'], 'cluster.local');

describe('the SkyDNS layout', () => {
  it.each([
    ['redis', 'redis-1', '/skydns/local/cluster/redis/redis-1'],
    ['Redis', 'redis-1', '/skydns/local/cluster/redis/redis-1'],
    ['my_app', 'x', '/skydns/local/cluster/my_app/x'],
    ['redis', 'node1:redis:6379', '/skydns/local/cluster/redis/node1-redis-6379-ec967029'],
  ])('puts %j %j at %s', (name, id, key) => {
    expect(skydns.key({ name, id })).toBe(key);
  });

  it('keeps apart IDs that clean to the same text', () => {
    const ids = ['a.b', 'a:b', 'a_b', 'A-b', 'a-b', '-a-b-', 'a--b:'];
    expect(new Set(ids.map(idLabel)).size).toBe(ids.length);
    expect(idLabel('a.b')).toMatch(/^a-b-[0-9a-f]{8}$/);
    expect(idLabel('a-b')).toBe('a-b');
    expect(idLabel('any')).toMatch(/^any-[0-9a-f]{8}$/);
    expect(nameLabel('api.v1')).toMatch(/^api-v1-[0-9a-f]{8}$/);
  });

  it('makes a label of anything, the same one each time', () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.string({ minLength: 60, maxLength: 100 })), (text) => {
        expect(idLabel(text)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
        expect(nameLabel(text)).toMatch(/^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/);
        expect(idLabel(text)).toBe(idLabel(text));
      }),
      { numRuns: 1_000 },
    );
  });

  it('writes the two fields that gliderlabs/registrator wrote', () => {
    expect(skydns.value({ address: 'fd00::1', port: 80 })).toBe('{"host":"fd00::1","port":80}');
    expect(skydns.parse('{"host":"fd00::1","port":80}')).toEqual({ address: 'fd00::1', port: 80 });
    expect(skydns.parse('nonsense')).toBeUndefined();
    expect(skydns.parse('null')).toBeUndefined();
  });

  it.each(['', '.', 'a..b', 'a/b', '../x', '_x.y', 'ü.de'])('refuses the domain %j', (domain) => {
    expect(() => skydnsLayout(['skydns'], domain)).toThrow('is no DNS name');
  });
});
