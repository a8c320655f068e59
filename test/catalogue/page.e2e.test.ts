import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import type { Service } from '../../src/services/index.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { service } from '../support/service.ts';

/** The page in a real browser. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Browser;
let catalogue: Catalogue;
let page: Page;
/** Every address that the page asked for, and whatever went wrong in it. */
let requests: string[];
let errors: string[];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
});
afterAll(() => browser.close());

beforeEach(async () => {
  catalogue = new Catalogue({ nodeName: 'node1', http: LOOPBACK, dns: LOOPBACK, log: pino({ level: 'silent' }) });
  await catalogue.start();
});
afterEach(async () => {
  await page?.context().close();
  await catalogue.stop();
  expect(errors).toEqual([]);
});

const base = () => `http://127.0.0.1:${catalogue.httpPort}`;

async function open(options: BrowserContextOptions = {}, path = '/ui/'): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript({ path: fileURLToPath(new URL('contrasts.js', import.meta.url)) });
  page = await context.newPage();
  requests = [];
  errors = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('dialog', (dialog) => errors.push(`a dialog: ${dialog.message()}`));
  await page.goto(base() + path);
  await page.waitForSelector('[data-state=live]');
}

function put(container: string, over: Partial<Service> = {}, startedAgo = 3_600_000): void {
  const { origin, ...rest } = service({ container });
  const startedAt = Date.now() - startedAgo;
  catalogue.store.put({ ...rest, origin: { ...origin, startedAt }, ...over });
}

// biome-ignore lint/performance/useDomNodeTextContent: what is hidden does not count
const seen = (locator: Locator) => locator.innerText();

/** The containers that the table shows, from top to bottom. */
const shown = () => page.locator('tbody th[scope=row] bdi:visible').allTextContents();
const noSidewaysScroll = () =>
  page.evaluate<boolean>('document.documentElement.scrollWidth <= document.documentElement.clientWidth');

test('a browser that opens the address itself gets the page; curl keeps its sentence', async () => {
  await open({}, '/');
  expect(page.url()).toBe(`${base()}/ui/`);
  expect(await page.title()).toBe('node1 – registrator');
  expect(await (await fetch(`${base()}/`, { headers: { accept: '*/*' } })).text()).toContain('/v1/catalog/services');
});

test('what starts, changes and stops is on the page within a second, without a reload', async () => {
  await open();
  await page.evaluate('window.sameDocument = true');
  expect(await seen(page.locator('#none'))).toContain('docker run -d -P redis');

  put('redis-2', { tags: ['primary'] }, 41);
  const row = page.locator('tbody tr', { hasText: 'redis-2' });
  await row.waitFor({ timeout: 1_000 });
  expect(await seen(row)).toMatch(
    /redis-2[\s\S]*no check[\s\S]*10\.0\.0\.1:32768[\s\S]*primary[\s\S]*redis[\s\S]*just now/,
  );
  expect(await seen(page.locator('tbody'))).toContain('redis.service.consul');
  expect(await seen(page.locator('#recent'))).toMatch(/redis-2 registered\s+just now, \d\d ms after it started/);
  expect(await page.locator('#none').isVisible()).toBe(false);
  await eventuallyPasses(async () =>
    expect(await page.locator('#news').textContent()).toMatch(/^redis-2 registered \d\d ms after it started$/),
  );

  const check = { type: 'docker', ttl: '1m' } as const;
  put('redis-2', { tags: ['primary'], check, health: { status: 'critical', output: 'connection refused' } }, 41);
  await page.locator('tbody tr', { hasText: 'connection refused' }).waitFor({ timeout: 1_000 });
  expect(await seen(page.locator('tbody .tally'))).toBe('1 instance, 1 critical');
  catalogue.store.setHealth('node1:redis-2:6379', { status: 'passing', output: '' });
  await page.locator('#recent', { hasText: 'redis-2 is passing' }).waitFor({ timeout: 1_000 });

  catalogue.store.remove('node1:redis-2:6379');
  await page.locator('#none').waitFor({ timeout: 1_000 });
  expect(await seen(page.locator('#recent'))).toContain('redis-2 deregistered');
  expect(await page.evaluate('window.sameDocument')).toBe(true);
});

test('it says when the catalogue is away, and goes on by itself when it is back', async () => {
  await open();
  const { httpPort = 0 } = catalogue;
  await catalogue.stop();
  await page.locator('#live', { hasText: 'Not connected, trying again' }).waitFor();
  catalogue = new Catalogue({
    nodeName: 'node1',
    http: { ...LOOPBACK, port: httpPort },
    log: pino({ level: 'silent' }),
  });
  put('back');
  await catalogue.start();
  await page.locator('[data-state=live]').waitFor({ timeout: 15_000 });
  expect(await shown()).toEqual(['back']);
  errors = errors.filter((error) => !error.includes('ERR_'));
});

test('the search finds by every column, and the keyboard alone does it', async () => {
  put('shop-2', { name: 'shop', tags: ['blue'], port: 7001 });
  put('shop-10', { name: 'shop', tags: ['green'], address: '2001:db8::1', port: 7002 });
  put('cache', {
    name: 'redis',
    protocol: 'udp',
    check: { type: 'docker', ttl: '1m' },
    health: { status: 'critical', output: '' },
  });
  await open();
  expect(await shown()).toEqual(['cache', 'shop-2', 'shop-10']);
  expect(await seen(page.locator('#count'))).toBe('2 services, 3 instances');

  await page.keyboard.press('/');
  for (const [words, found] of [
    ['SHOP', ['shop-2', 'shop-10']],
    ['green', ['shop-10']],
    ['10.0.0.1:7001', ['shop-2']],
    ['[2001:db8::1]', ['shop-10']],
    ['critical', ['cache']],
    ['/udp', ['cache']],
    ['shop blue', ['shop-2']],
    ['nothing like it', []],
  ] as const) {
    await page.keyboard.press('Escape');
    await page.keyboard.type(words);
    expect(await shown(), words).toEqual(found);
    expect(await seen(page.locator('#count'))).toBe(`${found.length} of 3 instances`);
  }
  expect(await page.locator('#no-match').isVisible()).toBe(true);

  put('late', { name: 'nothing like it' });
  await eventuallyPasses(async () => expect(await shown()).toEqual(['late']));
  await page.keyboard.press('Escape');
  expect(await shown()).toHaveLength(4);

  await page.keyboard.type('zzz');
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.id')).toBe('clear');
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
  expect(outline).toBe('solid');
  await page.keyboard.press('Enter');
  expect(await shown()).toHaveLength(4);
  expect(await page.evaluate('document.activeElement.id')).toBe('search');
});

test('nothing is asked of any other host, and no part of the page is missing', async () => {
  put('redis');
  await open();
  await page.reload();
  await page.waitForSelector('[data-state=live]');
  expect(new Set(requests.map((url) => new URL(url).origin))).toEqual(new Set([base()]));
  expect(requests.length).toBeGreaterThanOrEqual(8);
  for (const url of new Set(requests)) {
    if (url.endsWith('/events')) continue;
    const { status, headers } = await fetch(url);
    expect([url, status]).toEqual([url, 200]);
    expect(headers.get('content-security-policy')).toContain("default-src 'self'");
  }
});

const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  '</script><svg onload=alert(3)>',
  '{{constructor.constructor("alert(4)")()}}',
  '\u202Egnp.exe\u202C\u0000\u0007',
  `${'long'.repeat(80)}`,
  '__proto__',
];

test('names, labels and check output are text, whatever they hold', async () => {
  for (const [i, text] of HOSTILE.entries()) {
    put(`c${i}`, {
      id: `${i}${text}`,
      name: text,
      address: text,
      tags: [text, text],
      check: { type: 'docker', ttl: '1m' },
      health: { status: 'critical', output: text },
      origin: { containerId: text, containerName: text, image: text, exposedPort: 1, startedAt: 1 },
    });
  }
  await open({ viewport: { width: 360, height: 800 } });
  expect(await shown()).toHaveLength(HOSTILE.length);
  expect((await shown()).sort()).toEqual([...HOSTILE].sort());
  expect(await page.locator('tbody img, tbody script, tbody svg').count()).toBe(0);
  expect(await page.evaluate('document.scripts.length')).toBe(1);
  expect(await noSidewaysScroll()).toBe(true);
  await page.setViewportSize({ width: 1280, height: 800 });
  expect(await noSidewaysScroll()).toBe(true);
  expect(new Set(requests.map((url) => new URL(url).origin))).toEqual(new Set([base()]));
});

test.each([320, 360, 520, 600, 768, 900, 1024, 1600])(
  '%i pixels wide, everything is there and nothing scrolls sideways',
  async (width) => {
    put('shop_web_1', { name: 'web', tags: ['http', 'urlprefix-shop.example.com/a/rather/long/path/of/it'] });
    put('db', { address: '2001:db8:1234:5678:9abc:def0:1234:5678', tags: [] });
    await open({ viewport: { width, height: 800 } });
    expect(await noSidewaysScroll()).toBe(true);
    for (const text of [
      'shop_web_1',
      'http',
      '[2001:db8:1234:5678:9abc:def0:1234:5678]:32768',
      'redis.service.consul',
    ]) {
      const box = await page.getByText(text, { exact: true }).first().boundingBox();
      expect([text, (box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= width]).toEqual([text, true]);
    }
  },
);

test.each(['light', 'dark'] as const)('the %s colours are as the reader asks, and can be read', async (colorScheme) => {
  for (const status of ['passing', 'warning', 'critical'] as const) {
    put(status, { tags: ['tag'], check: { type: 'docker', ttl: '1m' }, health: { status, output: `it is ${status}` } });
  }
  put('unchecked');
  await open({ colorScheme, reducedMotion: 'reduce' });
  const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
  const [r = 0, g = 0, b = 0] = (ground.match(/\d+/g) ?? []).map(Number);
  expect(r + g + b > 382).toBe(colorScheme === 'light');
  const measured = await page.evaluate<[text: string, ratio: number][]>('contrasts()');
  expect(measured.length).toBeGreaterThan(30);
  expect(measured.filter(([, ratio]) => ratio < 4.5)).toEqual([]);
});

test('a screen reader finds landmarks, a heading, a labelled search and a table with headers', async () => {
  put('redis', { tags: ['a'], check: { type: 'docker', ttl: '1m' }, health: { status: 'passing', output: '' } });
  for (const width of [1280, 360]) {
    await open({ viewport: { width, height: 800 } });
    expect(await page.getByRole('banner').count()).toBe(1);
    expect(await page.getByRole('main').count()).toBe(1);
    expect(await seen(page.getByRole('heading', { level: 1 }))).toBe('registrator');
    expect(
      await page
        .getByRole('search')
        .getByRole('searchbox', { name: /^Search services/ })
        .count(),
    ).toBe(1);
    expect(await page.getByRole('region', { name: 'Services' }).count()).toBe(1);
    const table = page.getByRole('table', { name: 'Services' });
    expect(await table.getByRole('columnheader').allTextContents()).toEqual([
      'Container',
      'Health',
      'Address',
      'Tags',
      'Image',
      'Started',
    ]);
    expect(await table.getByRole('row').count()).toBe(3);
    expect(await table.getByRole('rowheader').count()).toBe(2);
    expect(await table.getByRole('cell', { name: 'passing' }).count()).toBe(1);
    expect(await page.getByRole('status').filter({ hasText: 'Live' }).count()).toBe(1);
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    const ids = await page.evaluate<string[]>("[...document.querySelectorAll('[id]')].map(({ id }) => id)");
    expect(new Set(ids).size).toBe(ids.length);
    if (width === 1280) await page.context().close();
  }
  await page.keyboard.press('Tab');
  expect(await seen(page.locator(':focus'))).toBe('Skip to the services');
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('services');
});

test('thousands of instances, and a storm of changes, keep the page answering', async () => {
  for (let i = 0; i < 2_000; i++) put(`c-${i}`, { name: `service-${i % 50}`, id: `id-${i}` });
  await open();
  expect(await seen(page.locator('#count'))).toBe('50 services, 2000 instances');
  for (let i = 0; i < 2_000; i++) put(`c-${i}`, { name: `service-${i % 50}`, id: `id-${i}`, port: 1_000 + i });
  await page.getByText('10.0.0.1:2999', { exact: true }).waitFor({ state: 'attached', timeout: 5_000 });
  await page.locator('#search').fill('c-1999');
  expect(await shown()).toEqual(['c-1999']);
});

test('a check that fails is on the page with its reason', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await open();
  put('web', { check: { type: 'tcp', target: `127.0.0.1:${port}` } });
  await page.locator('tbody tr', { hasText: 'ECONNREFUSED' }).waitFor({ timeout: 5_000 });
  expect(await seen(page.locator('td .critical'))).toBe('critical');
});
