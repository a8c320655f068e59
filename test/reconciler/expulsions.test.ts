import { describe, expect, test } from 'vitest';
import { Expulsions } from '../../src/reconciler/expulsions.ts';
import type { Service } from '../../src/services/index.ts';
import { service } from '../support/service.ts';

const MINUTE = 60_000;
const check = { type: 'tcp', target: '10.0.0.1:80', interval: '10s', deregisterAfter: '1m' } as const;
const ill = service({ check: { ...check, initialStatus: 'passing' } });

describe('a service that the registry removed', () => {
  test('stays away for as long as it may be critical, doubled each time, an hour at most', () => {
    const expulsions = new Expulsions();
    let now = 0;
    const waits = Array.from({ length: 8 }, () => {
      const wait = expulsions.note('k', ill, now);
      expect(expulsions.holds('k', ill, now + wait - 1)).toBe(true);
      expect(expulsions.holds('k', ill, now + wait)).toBe(false);
      now += wait + 90_000;
      return wait / MINUTE;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  test('begins anew when it was well for an hour, or its container was started again', () => {
    const expulsions = new Expulsions();
    expulsions.note('k', ill, 0);
    expect(expulsions.note('k', ill, 2 * MINUTE)).toBe(2 * MINUTE);
    expect(expulsions.note('k', ill, 100 * MINUTE)).toBe(MINUTE);
    const restarted: Service = { ...ill, origin: { ...ill.origin, startedAt: 2_000 } };
    expect(expulsions.holds('k', restarted, 100 * MINUTE)).toBe(false);
    expect(expulsions.returning('k', restarted)).toBe(restarted);
  });

  test('comes back as critical, whatever its label says; another is as its label says', () => {
    const expulsions = new Expulsions();
    expect(expulsions.returning('k', ill)).toBe(ill);
    expulsions.note('k', ill, 0);
    expect(expulsions.returning('k', ill).check).toMatchObject({ initialStatus: 'critical' });
  });

  test('comes back at once when Docker calls its container healthy', () => {
    const expulsions = new Expulsions();
    const of = (status: 'passing' | 'critical') =>
      service({ check: { type: 'docker', ttl: '60s', deregisterAfter: '1m' }, health: { status, output: '' } });
    expulsions.note('k', of('critical'), 0);
    expect(expulsions.holds('k', of('critical'), 1)).toBe(true);
    expect(expulsions.holds('k', of('passing'), 1)).toBe(false);
  });
});
