import { describe, expect, it } from 'vitest';
import { isOwn, isOwnId, ownerMark } from '../../../src/registries/kit/owner.ts';

const owner = { host: 'node1', engine: 'ENGINE' };

describe('the owner of an entry', () => {
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
  ])('is read off the ID %s where there is no mark: %s', (id, own) => {
    expect(isOwnId('node1', id)).toBe(own);
    expect(isOwn(owner, id, {})).toBe(own);
  });

  it('is us when one of the two marks is ours, whatever the ID', () => {
    expect(isOwn(owner, 'x', ownerMark(owner))).toBe(true);
    expect(isOwn(owner, 'x', ownerMark({ host: 'renamed', engine: 'ENGINE' }))).toBe(true);
    expect(isOwn(owner, 'x', ownerMark({ host: 'node1', engine: 'reinstalled' }))).toBe(true);
  });

  it('is another where both marks are another’s, though the ID looks like ours', () => {
    expect(isOwn(owner, 'node1:redis:6379', ownerMark({ host: 'node2', engine: 'OTHER' }))).toBe(false);
  });

  it('keeps a host name with characters of regular expressions literal', () => {
    expect(isOwnId('n.de', 'node:redis:1')).toBe(false);
  });
});
