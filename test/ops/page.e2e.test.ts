import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../../src/lib/log/index.ts';
import { opsServer } from '../../src/ops/http.ts';
import { overviewPage } from '../../src/ops/overview.ts';
import { DesiredState, Reconciler } from '../../src/reconciler/index.ts';
import { createRegistry } from '../../src/registries/index.ts';
import { CHROMIUM } from '../support/chromium.ts';
import { ConsulServer } from '../support/consul.ts';
import { service } from '../support/service.ts';

/** The page of `--http` in a real browser, beside a real Consul. */

let browser: Browser;
let consul: ConsulServer;
beforeAll(async () => {
  [browser, consul] = await Promise.all([chromium.launch(CHROMIUM), new ConsulServer().start()]);
});
afterAll(async () => {
  await Promise.all([browser.close(), consul.dispose()]);
});

test('with Consul it says what is wanted, what is there, what differs and why', async () => {
  const log = await createLogger('silent', 'json');
  const desired = new DesiredState();
  const owner = { host: 'node1', engine: 'engine' };
  const registry = await createRegistry(`consul://${consul.address}`, { owner, env: {}, log });
  const options = { resyncMs: 100, heartbeatMs: 0, retryAttempts: Number.POSITIVE_INFINITY, retryIntervalMs: 50 };
  const reconciler = new Reconciler(registry, desired, options, log);
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  const overseen = {
    hostname: 'node1',
    desired,
    get status() {
      const docker = { connected: true, streams: 1, complete: true, unregistered: [] };
      return { docker, registries: [reconciler.status] };
    },
    get differences() {
      return [reconciler.differences()];
    },
  };
  const server = opsServer([], overviewPage(overseen, stop.signal));
  await server.listen('127.0.0.1', 0);
  const page = await browser.newPage();
  const one = service({ id: 'shared', container: 'cache', tags: ['a'] });
  desired.set(one.origin.containerId, [one]);
  desired.setComplete();
  await page.goto(`http://127.0.0.1:${server.port}/ui/?service=redis`);
  const registries = page.locator('#registries');
  await registries.filter({ hasText: /consul:\/\/.*in step/ }).waitFor();
  await page.locator('#well', { hasText: 'All well' }).waitFor();
  expect(await text(page, '.view')).toContain('This registrator answers no DNS itself');

  // Another container claims the same entry: one of them cannot have it.
  const younger = service({
    id: one.id,
    container: 'second',
    port: 9,
    origin: { ...one.origin, containerId: 's', containerName: 'second', startedAt: 2_000 },
  });
  desired.set('s', [younger]);
  await page.getByRole('button', { name: '1 in conflict' }).waitFor();
  expect(await text(page, '.view .differences')).toMatch(
    /shared is in conflict in consul:\/\/.*\s+wanted 10\.0\.0\.1:32768, there 10\.0\.0\.1:9\s+Container second has the same entry, and started last: give each a SERVICE_ID/,
  );
  desired.delete('s');

  // Consul is away: what is wanted now cannot be there.
  await consul.stop();
  const late = service({ container: 'late', name: 'late', port: 7 });
  desired.set(late.origin.containerId, [late]);
  await registries.filter({ hasText: /consul:\/\/.*away/ }).waitFor();
  await page.getByRole('button', { name: '1 entry differs' }).click();
  await page.getByRole('button', { name: 'late' }).click();
  expect(await text(page, '.view .differences')).toMatch(
    /is missing in consul:\/\/.*\s+wanted 10\.0\.0\.1:7, nothing there\s+The registry does not answer; it is written as soon as it does\./,
  );
  await consul.start();
  await page.locator('#well', { hasText: 'All well' }).waitFor();
  await page.getByRole('button', { name: '0 entries differ' }).waitFor();

  await page.close();
  stop.abort();
  await Promise.all([running, server.close()]);
  await registry.close();
});

// biome-ignore lint/performance/useDomNodeTextContent: what is hidden does not count
const text = (page: Page, selector: string) => page.locator(selector).innerText();
