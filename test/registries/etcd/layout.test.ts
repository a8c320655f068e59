import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  claimedKey,
  claimKey,
  claimValue,
  findings,
  plainLayout,
  showsOwner,
} from '../../../src/registries/etcd/layout.ts';
import { skydnsLayout } from '../../../src/registries/etcd/skydns.ts';
import { hostile } from '../hostile.ts';

const owner = { host: 'node1', engine: 'ENGINE' };
const plain = plainLayout(['services']);
const skydns = skydnsLayout(['skydns'], 'cluster.local');

describe('the plain layout', () => {
  it.each([
    ['redis', 'node1:redis:6379', '/services/redis/node1:redis:6379'],
    ['my_app.v1-x', 'node1:my_app.1:53:udp', '/services/my_app.v1-x/node1:my_app.1:53:udp'],
    ['a/b', '..', '/services/a%2Fb/%2E%2E'],
    ['', '_x', '/services/%/%5Fx'],
    ['50%', '%2F', '/services/50%25/%252F'],
  ])('puts %j %j at %s', (name, id, key) => {
    expect(plain.key({ name, id })).toBe(key);
  });

  it('has no prefix where the URI has none', () => {
    expect(plainLayout([]).key({ name: 'redis', id: 'x' })).toBe('/redis/x');
  });

  it.each([
    ['10.0.0.1', 80, '10.0.0.1:80'],
    ['fd00::1', 80, '[fd00::1]:80'],
    ['redis.example', 1, 'redis.example:1'],
  ])('writes %s %d as %s, and reads it', (address, port, value) => {
    expect(plain.value({ address, port })).toBe(value);
    expect(plain.parse(value)).toEqual({ address, port });
  });

  it('keeps any name and ID below the prefix, two parts deep, and apart from any other', () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(hostile, hostile, (name, id) => {
        const key = plain.key({ name, id });
        const parts = key.split('/');
        expect(parts.slice(0, 2)).toEqual(['', 'services']);
        expect(parts.length).toBe(4);
        for (const part of parts.slice(2)) expect(part).not.toMatch(/^$|^\.\.?$|^_|\p{C}/u);
        const both = JSON.stringify([name, id]);
        expect(seen.get(key) ?? both).toBe(both);
        seen.set(key, both);
        const claims = new Map([[key, claimValue(owner, { name, id })]]);
        const value = plain.value({ address: 'h', port: 1 });
        const [entry] = findings(plain, owner, [{ key, value, bound: '' }], claims, new Map()).own;
        expect(entry).toEqual({ key, content: 'h:1', name, id, address: 'h', port: 1 });
        expect(claimedKey(plain, claimKey(plain, key))).toBe(key);
        expect(claimKey(plain, key).split('/').length).toBe(3);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('what is ours', () => {
  const stored = (key: string, value = '10.0.0.1:80') => ({ key, value, bound: '' });
  const keys = (entries: readonly { key: string }[]) => entries.map(({ key }) => key);

  it('is what the ID says, at its place only', () => {
    const { own } = findings(
      plain,
      owner,
      [
        stored('/services/redis/node1:redis:6379'),
        stored('/services/redis/node2:redis:6379'),
        stored('/services/redis/custom'),
        stored('/services/node1:redis:6379'),
        stored('/services/a/b/node1:redis:6379'),
        stored('/servicesx/redis/node1:redis:6379'),
      ],
      new Map(),
      new Map(),
    );
    expect(own).toEqual([
      {
        key: '/services/redis/node1:redis:6379',
        content: '10.0.0.1:80',
        id: 'node1:redis:6379',
        name: 'redis',
        address: '10.0.0.1',
        port: 80,
      },
    ]);
  });

  it('is what a claim of our host says, or one of our engine at our address; and what this process wrote', () => {
    const claim = (host: string, engine: string) => claimValue({ host, engine }, { name: 'redis', id: 'x' });
    const claims = new Map([
      ['/services/redis/a', claim('node1', 'REINSTALLED')],
      ['/services/redis/b', claim('renamed', 'ENGINE')],
      ['/services/redis/twin', claim('cloned', 'ENGINE')],
      ['/services/redis/c', claim('node2', 'OTHER')],
      ['/services/redis/d', 'garbage'],
      ['/services/redis/gone', claim('node1', 'ENGINE')],
      ['/elsewhere/redis/gone', claim('node1', 'ENGINE')],
    ]);
    const at = [...'abcdef'].map((id) => stored(`/services/redis/${id}`));
    at.push(stored('/services/redis/twin', '10.0.0.2:80'));
    const here = { ...owner, addresses: () => new Set(['10.0.0.1']) };
    const entry = { key: '', content: '', id: 'x', name: 'redis', address: '', port: 0 };
    const wrote = [...'cef'].map(
      (id) => [`/services/redis/${id}`, { entry, values: [id === 'f' ? '10.0.0.1:81' : '10.0.0.1:80'] }] as const,
    );
    const { own, holders, twins } = findings(plain, here, at, claims, new Map(wrote));
    expect(keys(own)).toEqual(['/services/redis/a', '/services/redis/b', '/services/redis/e', '/services/redis/gone']);
    expect(own.slice(0, 3).map(({ content }) => content)).toEqual([
      '10.0.0.1:80 (without our claim)',
      '10.0.0.1:80 (without our claim)',
      '10.0.0.1:80 (without our claim)',
    ]);
    expect([...holders]).toEqual([
      ['/services/redis/c', 'registrator on host "node2"'],
      ['/services/redis/d', 'another host'],
      ['/services/redis/f', 'somebody without a mark of registrator (an operator, an application)'],
      ['/services/redis/twin', 'registrator on host "cloned"'],
    ]);
    expect([...twins]).toEqual([['cloned', 1]]);
    expect(own.at(-1)).toMatchObject({ id: 'x', name: 'redis', content: 'gone' });
  });

  it('needs a claim where the key does not show the host', () => {
    expect(showsOwner(plain, owner, '/services/redis/node1:redis:6379')).toBe(true);
    expect(showsOwner(plain, owner, '/services/redis/redis-1')).toBe(false);
    expect(showsOwner(skydns, owner, skydns.key({ name: 'redis', id: 'node1:redis:6379' }))).toBe(false);
    expect(showsOwner(skydns, owner, '/skydns/local/cluster/redis/node1:redis:6379')).toBe(true);
  });

  it('takes hostile claims for nobody’s', () => {
    for (const value of ['', 'null', '[]', '{}', '{"owner":1}', '"x"', '{"owner":"node1"}']) {
      const { own } = findings(plain, owner, [stored('/services/a/x')], new Map([['/services/a/x', value]]), new Map());
      expect(own).toEqual([]);
    }
  });
});
