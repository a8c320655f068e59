import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { importGoldenImages } from '../support/images.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';

let engine: DockerEngine;
let consul: ConsulServer;
beforeAll(async () => {
  [engine, consul] = await Promise.all([new DockerEngine().start(), new ConsulServer().start()]);
  await importGoldenImages(engine);
});
afterAll(() => Promise.all([engine.dispose(), consul.dispose()]));

async function get(port: number, path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

async function metric(port: number, name: string): Promise<number> {
  const { text } = await get(port, '/metrics');
  const line = text.split('\n').find((one) => one.startsWith(name));
  return Number(line?.slice(line.lastIndexOf(' ') + 1));
}

describe('--http', () => {
  it('serves metrics, health and readiness, which follow Docker and the registry', async () => {
    const port = await freePort();
    const uri = `consul://${consul.address}`;
    const args = ['--http', `127.0.0.1:${port}`, '-ip', '10.9.8.7', '--resync', '1', '--retry-interval', '100', uri];
    await using registrator = new Registrator(args, { host: engine.host });
    await eventuallyPasses(async () => expect(await get(port, '/ready')).toMatchObject({ status: 200 }));
    expect(await get(port, '/health')).toEqual({ status: 200, text: 'registrator is alive.\n' });
    expect((await get(port, '/other')).status).toBe(404);

    await engine.run('-P', '--name', 'cache', 'redis');
    await registrator.waitForLog('registered');
    expect(await metric(port, `registrator_services{registry="${uri}"}`)).toBe(1);
    expect(await metric(port, `registrator_registrations_total{registry="${uri}"}`)).toBe(1);
    expect(await metric(port, `registrator_event_to_registered_seconds_count{registry="${uri}"}`)).toBe(1);
    expect(await metric(port, 'registrator_registry_up')).toBe(1);
    const resync = await metric(port, 'registrator_last_resync_timestamp_seconds');
    expect(Math.abs(Date.now() / 1000 - resync)).toBeLessThan(60);
    expect((await get(port, '/metrics')).text).not.toContain('cache');

    await consul.kill9();
    await eventuallyPasses(
      async () => {
        const { status, text } = await get(port, '/ready');
        expect([status, text]).toEqual([503, `${uri} does not answer, or was not read yet.\n`]);
      },
      { deadlineMs: 20_000 },
    );
    expect(await metric(port, 'registrator_registry_up')).toBe(0);
    expect((await get(port, '/health')).status).toBe(200);
    await consul.start();
    await eventuallyPasses(async () => expect((await get(port, '/ready')).status).toBe(200), { deadlineMs: 20_000 });

    await engine.docker('rm', '-f', 'cache');
    await eventuallyPasses(async () =>
      expect(await metric(port, `registrator_deregistrations_total{registry="${uri}"}`)).toBe(1),
    );
    await engine.kill9();
    await eventuallyPasses(async () => expect((await get(port, '/ready')).text).toContain('Docker does not answer'));
    await engine.start();
    await eventuallyPasses(async () => expect((await get(port, '/ready')).status).toBe(200), { deadlineMs: 20_000 });
    expect(await metric(port, 'registrator_docker_stream_reconnects_total')).toBeGreaterThanOrEqual(1);
    expect(await registrator.stop()).toBe(0);
    await expect(get(port, '/health')).rejects.toThrow();
  });

  it('exits 2 with one sentence where the port is taken', async () => {
    const { code, stderr } = await runRegistrator(['--http', consul.address, `consul://${consul.address}`], {
      host: engine.host,
    });
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^registrator: --http cannot listen on .*EADDRINUSE.*\n$/),
    ]);
  });
});

it('the embedded catalogue serves them too', async () => {
  const port = await freePort();
  await using registrator = new Registrator([`memory://127.0.0.1:${port}?dns=off`], { host: engine.host });
  await registrator.waitForLog('looked at every container');
  await eventuallyPasses(async () => expect((await get(port, '/ready')).status).toBe(200));
  expect((await get(port, '/health')).status).toBe(200);
  expect(await metric(port, 'registrator_docker_up')).toBe(1);
});
