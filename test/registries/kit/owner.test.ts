import { describe, expect, it } from 'vitest';
import { holderOf, isOwnId, markIn, ownerMark, ownership } from '../../../src/registries/kit/index.ts';

const owner = { host: 'node1', engine: 'ENGINE', addresses: () => new Set(['10.0.0.1', '2001:db8::1']) };

describe('the ID alone', () => {
  it.each([
    ['node1:redis:6379', true],
    ['node1:my_app.web-1:53:udp', true],
    ['node1:a:1:sctp', true],
    ['node10:redis:6379', false],
    ['node2:redis:6379', false],
    ['node1:redis', false],
    ['node1:redis:x', false],
    ['node1:redis:6379:tcp', false],
    ['node1:a:b:1', false],
    ['redis-1', false],
    ['', false],
  ])('%s shows our host: %s', (id, own) => {
    expect(isOwnId('node1', id)).toBe(own);
    expect(ownership(owner, { id, address: '10.0.0.9', mark: undefined })).toBe(own ? 'own' : 'foreign');
  });

  it('keeps a host name with characters of regular expressions literal', () => {
    expect(isOwnId('n.de', 'node:redis:1')).toBe(false);
  });
});

// The table of SPEC 6 and docs/ownership.md.
describe('whose an entry is', () => {
  const ours = ownerMark(owner);
  it.each([
    ['our mark', ours, 'mine', '10.0.0.9', 'own'],
    ['our host, an engine installed anew', { ...ours, 'registrator-engine': 'OLD' }, 'mine', '10.0.0.9', 'own'],
    ['our host, and no engine', { 'registrator-host': 'node1' }, 'mine', '10.0.0.9', 'own'],
    ['our engine, another host, at our address', { ...ours, 'registrator-host': 'old' }, 'mine', '10.0.0.1', 'own'],
    ['the same at our IPv6 address', { ...ours, 'registrator-host': 'old' }, 'old:a:1', '2001:db8::1', 'own'],
    ['our engine, another host, elsewhere', { ...ours, 'registrator-host': 'b' }, 'b:redis:6379', '10.0.0.2', 'twin'],
    ['the same under an ID like ours', { ...ours, 'registrator-host': 'b' }, 'node1:redis:6379', '10.0.0.2', 'twin'],
    ['another host and engine', ownerMark({ host: 'b', engine: 'B' }), 'mine', '10.0.0.1', 'foreign'],
    ['the same under an ID like ours', ownerMark({ host: 'b', engine: 'B' }), 'node1:redis:1', '10.0.0.1', 'foreign'],
    ['no mark, an ID of ours', {}, 'node1:redis:6379', '10.0.0.9', 'own'],
    ['no mark, an ID of its own', {}, 'mine', '10.0.0.1', 'foreign'],
    ["no mark, another host's ID", {}, 'b:redis:6379', '10.0.0.1', 'foreign'],
  ])('%s', (_, meta: Record<string, string>, id, address, whose) => {
    expect(ownership(owner, { id, address, mark: markIn(meta) })).toBe(whose);
  });

  it('no mark, but exactly what we would write: adopted', () => {
    expect(ownership(owner, { id: 'mine', address: '10.0.0.1', mark: undefined, isWanted: true })).toBe('own');
  });

  it('what says what we would write and bears the mark of another stays that one’s', () => {
    const mark = { host: 'b', engine: 'B' };
    expect(ownership(owner, { id: 'mine', address: '10.0.0.1', mark, isWanted: true })).toBe('foreign');
  });

  it('without an engine ID of our own, nothing is ours by the engine', () => {
    const nameless = { ...owner, engine: '' };
    expect(ownership(nameless, { id: 'x', address: '10.0.0.1', mark: { host: 'b', engine: '' } })).toBe('foreign');
  });

  it('without known addresses, no host is taken for a renamed one', () => {
    const moved = { host: 'node1', engine: 'ENGINE' };
    expect(ownership(moved, { id: 'x', address: '10.0.0.1', mark: { host: 'b', engine: 'ENGINE' } })).toBe('twin');
  });
});

describe('who holds it', () => {
  it.each([
    [{ id: 'mine', mark: { host: 'b', engine: 'B' } }, 'registrator on host "b"'],
    [{ id: 'b:redis:6379', mark: undefined }, 'registrator on host "b"'],
    [{ id: 'mine', mark: { engine: 'B' } }, 'another host'],
    [{ id: 'mine', mark: undefined }, 'somebody without a mark of registrator (an operator, an application)'],
  ])('%j: %s', (held, words) => {
    expect(holderOf(held)).toBe(words);
  });
});
