import { afterEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/lib/http-server.ts';
import { opsServer } from '../../src/ops/http.ts';
import type { Status } from '../../src/ops/index.ts';
import { overviewPage } from '../../src/ops/overview.ts';
import { DesiredState, type Difference, type RegistryStatus } from '../../src/reconciler/index.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { service } from '../support/service.ts';

const stop = new AbortController();
let server: HttpServer | undefined;
afterEach(async () => {
  stop.abort();
  await server?.close();
});

const status = (over: Partial<RegistryStatus>): RegistryStatus => ({
  name: 'consul://x',
  up: true,
  services: 1,
  queue: 0,
  failing: 0,
  conflicts: [],
  ...over,
});

const UNPUBLISHED = {
  containerId: 'c'.repeat(64),
  containerName: 'adminer',
  image: 'adminer:4',
  ports: [{ port: '8080/tcp', reason: 'not published; publish it, or use --internal or SERVICE_INTERNAL=true' }],
};

const MISSING = {
  kind: 'missing',
  id: 'a',
  service: 'redis',
  containerId: '1',
  wanted: '10.0.0.1:32768',
  why: 'It is being written.',
} as const;

test('the page of --http shows what is wanted, where from, and how each registry is', async () => {
  const desired = new DesiredState();
  const overseen = {
    hostname: 'before',
    desired,
    status: { registries: [status({ up: false }), status({ name: 'etcd://y', queue: 3 })] } as Status,
    differences: [[], [MISSING]] as readonly (readonly Difference[])[],
  };
  desired.set('1', [service({ id: 'a' })]);
  server = opsServer([], overviewPage(overseen, stop.signal));
  await server.listen('127.0.0.1', 0);
  const base = `http://127.0.0.1:${server.port}`;
  expect((await fetch(`${base}/`)).url).toBe(`${base}/ui/`);

  /** What somebody who opens the page now sees first. */
  const look = async () => {
    const response = await fetch(`${base}/ui/events`);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const { value = '' } = (await reader?.read()) ?? {};
    await reader?.cancel();
    return JSON.parse(/^data: (.*)$/m.exec(value)?.[1] ?? '{}');
  };
  expect(await look()).toMatchObject({
    node: 'before',
    rows: [{ service: 'redis', health: 'none', container: 'redis' }],
    registries: [
      { name: 'Docker', state: 'away' },
      { name: 'consul://x', state: 'away' },
      { name: 'etcd://y', state: 'catching up', wanted: 1, differences: [MISSING] },
    ],
    unregistered: [],
    recent: [],
  });

  overseen.hostname = 'node7';
  const docker = { connected: true, streams: 1, complete: true, unregistered: [UNPUBLISHED] };
  overseen.differences = [];
  overseen.status = { docker, registries: [status({}), status({ name: 'etcd://y' })] };
  const check = { type: 'http', url: 'http://x/' } as const;
  desired.set('2', [service({ id: 'b', container: 'web', check })]);
  desired.set('1', [service({ id: 'a', health: { status: 'critical', output: 'container is paused' } })]);
  await eventuallyPasses(async () => {
    expect(await look()).toMatchObject({
      node: 'node7',
      rows: [
        {
          container: 'redis',
          health: 'critical',
          checks: [{ what: "Docker's health", output: 'container is paused' }],
        },
        { container: 'web', health: 'elsewhere' },
      ],
      registries: [{ state: 'in step' }, { state: 'in step' }, { state: 'in step' }],
      unregistered: [{ container: 'adminer', containerId: 'cccccccccccc', ports: UNPUBLISHED.ports }],
      recent: [
        { kind: 'critical', container: 'redis' },
        { kind: 'up', container: 'web' },
      ],
    });
  });
  desired.delete('2');
  expect(await look()).toMatchObject({ rows: [{ container: 'redis' }], recent: [{ kind: 'gone' }, {}, {}] });
});
