import { describe, expect, test } from 'vitest';
import { deriveSample, only, type Sample } from './snapshots.ts';

const health = (Status: string): Sample => ({ state: { Health: { Status, Log: null } } });

describe('--require-healthy', () => {
  test.each([
    ['starting', true],
    ['unhealthy', true],
    ['healthy', undefined],
    ['none', undefined],
  ])('of a container that is %s', (status, unready) => {
    expect(only(health(status), { requireHealthy: true }).unready).toBe(unready);
  });

  test('is off by default', () => expect(only(health('starting'))).not.toHaveProperty('unready'));

  test('SERVICE_REQUIRE_HEALTHY decides for one container, or one port', () => {
    const labels = { SERVICE_REQUIRE_HEALTHY: 'true' };
    expect(only({ ...health('starting'), labels }).unready).toBe(true);
    const not = { SERVICE_6379_REQUIRE_HEALTHY: 'false' };
    expect(only({ ...health('starting'), labels: not }, { requireHealthy: true })).not.toHaveProperty('unready');
  });

  test('looks at the HEALTHCHECK though the registry checks in another way', () => {
    const labels = { SERVICE_CHECK_TCP: 'true' };
    expect(only({ ...health('starting'), labels }, { requireHealthy: true })).toMatchObject({
      check: { type: 'tcp' },
      unready: true,
    });
  });

  test('takes the initial status for the health of a container that starts', () => {
    const labels = { SERVICE_CHECK_INITIAL_STATUS: 'passing' };
    expect(only({ ...health('starting'), labels }, { requireHealthy: true })).not.toHaveProperty('unready');
  });
});

describe('--drain', () => {
  test('marks every service', () => expect(only({}, { drain: true }).drain).toBe(true));

  test('SERVICE_DRAIN decides for one container', () => {
    expect(only({ labels: { SERVICE_DRAIN: 'false' } }, { drain: true })).not.toHaveProperty('drain');
    expect(only({ labels: { SERVICE_DRAIN: 'true' } }, { drain: false }).drain).toBe(true);
  });

  test('its labels are no metadata', () => {
    const labels = { SERVICE_DRAIN: 'true', SERVICE_REQUIRE_HEALTHY: 'true' };
    expect(deriveSample({ labels }).services[0]?.meta).toEqual({});
  });
});
