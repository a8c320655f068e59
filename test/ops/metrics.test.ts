import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/ops/index.ts';
import { Metrics } from '../../src/ops/metrics.ts';

import { unready } from '../../src/ops/routes.ts';
import { RefusedError } from '../../src/registries/index.ts';
import { service } from '../support/service.ts';

const CONSUL = 'consul://127.0.0.1:8500';
const status: Status = {
  docker: { connected: true, streams: 3, complete: true, unregistered: [] },
  registries: [
    { name: CONSUL, up: true, services: 4, queue: 2, failing: 1, conflicts: [], resyncedAt: 1_700_000_000_500 },
  ],
};
const redis = service();
const started = { containerId: redis.origin.containerId, action: 'start', time: '0.0' };

async function lines(metrics: Metrics): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith('registrator_'));
}

describe('metrics', () => {
  it('say where registrator stands with Docker and each registry', async () => {
    expect(await lines(new Metrics(() => status))).toEqual(
      expect.arrayContaining([
        `registrator_services{registry="${CONSUL}"} 4`,
        `registrator_queue_depth{registry="${CONSUL}"} 2`,
        `registrator_failing{registry="${CONSUL}"} 1`,
        `registrator_registry_up{registry="${CONSUL}"} 1`,
        `registrator_last_resync_timestamp_seconds{registry="${CONSUL}"} 1700000000.5`,
        `registrator_registrations_total{registry="${CONSUL}"} 0`,
        'registrator_docker_up 1',
        'registrator_docker_stream_reconnects_total 2',
      ]),
    );
  });

  it("have Node's own beside them", async () => {
    expect(await new Metrics(() => status).text()).toMatch(/^process_cpu_seconds_total \d/m);
  });

  it('count what was written, removed and failed, and why', async () => {
    const metrics = new Metrics(() => status);
    metrics.done(CONSUL, 'register', redis);
    metrics.done(CONSUL, 'register', redis);
    metrics.done(CONSUL, 'refresh', redis);
    metrics.done(CONSUL, 'deregister', undefined);
    metrics.failed(CONSUL, 'register', new RefusedError('no'));
    metrics.failed(CONSUL, 'deregister', new Error('away'));
    expect(await lines(metrics)).toEqual(
      expect.arrayContaining([
        `registrator_registrations_total{registry="${CONSUL}"} 2`,
        `registrator_deregistrations_total{registry="${CONSUL}"} 1`,
        `registrator_failures_total{registry="${CONSUL}",action="register",reason="refused"} 1`,
        `registrator_failures_total{registry="${CONSUL}",action="deregister",reason="unanswered"} 1`,
      ]),
    );
  });

  it('measure a start once for each service and registry, and nothing that had no start', async () => {
    const metrics = new Metrics(() => status);
    metrics.done(CONSUL, 'register', redis);
    metrics.containerEvent(started);
    metrics.done(CONSUL, 'register', redis);
    metrics.done(CONSUL, 'register', redis);
    metrics.done('etcd://a', 'register', redis);
    metrics.containerEvent({ ...started, action: 'die' });
    metrics.done(CONSUL, 'register', redis);
    const counts = (await lines(metrics)).filter((line) => line.includes('event_to_registered_seconds_count'));
    expect(counts).toEqual([
      `registrator_event_to_registered_seconds_count{registry="${CONSUL}"} 1`,
      'registrator_event_to_registered_seconds_count{registry="etcd://a"} 1',
    ]);
  });
});

describe('docs', () => {
  it.each(['metrics.md', 'alerts.yml', 'grafana-dashboard.json'])(
    'docs/%s names metrics that there are',
    async (file) => {
      const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), 'utf8');
      const named = new Set((text.match(/registrator_[a-z_]+/g) ?? []).map((name) => name.replace(/_bucket$/, '')));
      const known = (await new Metrics(() => status).text()).match(/(?<=^# TYPE )registrator_\w+/gm);
      expect(known).toEqual(expect.arrayContaining([...named]));
      if (file === 'metrics.md') expect([...named].sort()).toEqual(known?.sort());
    },
  );
});

describe('ready', () => {
  const [registry] = status.registries;
  const all = { ...registry, name: CONSUL, up: true, services: 4, queue: 0, failing: 0, conflicts: [] };
  it.each<[Status, string | undefined]>([
    [{ registries: [] }, 'Docker has not answered yet.'],
    [
      { ...status, docker: { connected: false, streams: 1, complete: true, unregistered: [] } },
      'Docker does not answer',
    ],
    [{ ...status, docker: { connected: true, streams: 1, complete: false, unregistered: [] } }, 'Not every container'],
    [{ ...status, registries: [{ ...all, up: false }] }, `${CONSUL} does not answer`],
    [{ ...status, registries: [{ ...all, queue: 2 }] }, '2 entries wait to be written'],
    [{ ...status, registries: [{ ...all, failing: 1 }] }, undefined],
    [{ ...status, registries: [all] }, undefined],
  ])('%j: %s', (now, reason) => {
    if (reason === undefined) expect(unready(now)).toBeUndefined();
    else expect(unready(now)).toContain(reason);
  });
});
