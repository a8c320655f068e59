import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { pino } from 'pino';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Catalogue, type Surroundings } from '../../src/catalogue/index.ts';
import type { Service } from '../../src/services/index.ts';
import { CHROMIUM } from '../support/chromium.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { fleet } from '../support/fleet.ts';
import { service } from '../support/service.ts';

/** The page in a real browser. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };
let browser: Browser;
let catalogue: Catalogue;
let page: Page;
let surroundings: Surroundings;
/** Every address that the page asked for, and whatever went wrong in it. */
let requests: string[];
let errors: string[];

beforeAll(async () => {
  browser = await chromium.launch(CHROMIUM);
});
afterAll(() => browser.close());

beforeEach(async () => {
  surroundings = { registries: [], unregistered: [] };
  catalogue = make(0);
  await catalogue.start();
});
afterEach(async () => {
  await page?.context().close();
  await catalogue.stop();
  expect(errors).toEqual([]);
});

const make = (port: number) =>
  new Catalogue({
    nodeName: 'node1',
    http: { ...LOOPBACK, port },
    dns: LOOPBACK,
    surroundings: () => surroundings,
    log: pino({ level: 'silent' }),
  });

const base = () => `http://127.0.0.1:${catalogue.httpPort}`;

async function open(options: BrowserContextOptions = {}, path = '/ui/'): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  await context.addInitScript({ path: fileURLToPath(new URL('contrasts.js', import.meta.url)) });
  await context.addInitScript(axe.source);
  context.setDefaultTimeout(10_000);
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

/** The services that the list shows, from top to bottom. */
const shown = () => page.locator('#list h3 bdi').allTextContents();
const line = (name: string) => page.locator(`#list > li[data-service="${name}"]`);
const unfold = (name: string) => line(name).locator('h3 button').click();
const filters = () => page.locator('#filters button:visible').allInnerTexts();
const noSidewaysScroll = () =>
  page.evaluate<boolean>('document.documentElement.scrollWidth <= document.documentElement.clientWidth');

test('a browser that opens the address itself gets the page; curl keeps its sentence', async () => {
  await open({}, '/');
  expect(page.url()).toBe(`${base()}/ui/`);
  expect(await page.title()).toBe('node1 – registrator');
  expect(await (await fetch(`${base()}/`, { headers: { accept: '*/*' } })).text()).toContain('/v1/catalog/services');
});

const CHECK = { type: 'docker', ttl: '1m' } as const;
const sick = (output: string) => ({ check: CHECK, health: { status: 'critical', output } }) as const;
const WELL = { check: CHECK, health: { status: 'passing', output: 'fine' } } as const;

test('what starts, changes and stops is on the page within a second, without a reload', async () => {
  await open();
  await page.evaluate('window.sameDocument = true');
  expect(await seen(page.locator('#none'))).toContain('docker run -d -P redis');

  put('redis-2', { tags: ['primary'] }, 41);
  await line('redis').waitFor({ timeout: 1_000 });
  expect(await seen(line('redis'))).toMatch(/redis[\s\S]*10\.0\.0\.1:32768[\s\S]*primary[\s\S]*redis-2[\s\S]*just now/);
  expect(await seen(page.locator('#recent'))).toMatch(
    /redis-2 is up\s+just now\s+redis 10\.0\.0\.1:32768, \d\d ms after it started/,
  );
  expect(await page.locator('#none').isVisible()).toBe(false);
  await eventuallyPasses(async () =>
    expect(await page.locator('#news').textContent()).toMatch(/^redis-2 is up \d\d ms after it started$/),
  );

  put('redis-2', { tags: ['primary'], ...sick('connection refused') }, 41);
  await line('redis').filter({ hasText: 'connection refused' }).waitFor({ timeout: 1_000 });
  expect(await filters()).toEqual(['1 critical', '1 service, 1 instance']);
  expect(await page.title()).toBe('(1) node1 – registrator');
  catalogue.store.setHealth('node1:redis-2:6379', { status: 'passing', output: '' });
  await page.locator('#recent', { hasText: 'redis-2 is passing' }).waitFor({ timeout: 1_000 });

  catalogue.store.remove('node1:redis-2:6379');
  await page.locator('#none').waitFor({ timeout: 1_000 });
  expect(await seen(page.locator('#recent'))).toContain('redis-2 is gone');
  expect(await page.evaluate('window.sameDocument')).toBe(true);
});

test('in two seconds: how many, what is wrong, since when all is in step; the worst is first, and each count a filter', async () => {
  for (const one of fleet(66, Date.now())) catalogue.store.put({ ...one, ...(one.check === undefined ? {} : WELL) });
  put('zebra', { name: 'zebra', ...sick('connection refused') });
  put('yak', { name: 'yak', check: CHECK, health: { status: 'warning', output: 'slow' } });
  const conflict = { kind: 'conflict', id: 'x', service: 'redis', why: 'Somebody else has it.' } as const;
  surroundings = {
    registries: [
      { name: 'Docker', state: 'in step', differences: [] },
      { name: 'consul://x', state: 'in step', wanted: 70, differences: [conflict] },
    ],
    unregistered: [UNPUBLISHED],
  };
  await open();
  const head = ['1 critical', '1 in conflict', '1 in warning', '68 services, 80 instances', '1 not registered'];
  await eventuallyPasses(async () => expect(await filters()).toEqual(head));
  expect((await shown()).slice(0, 3)).toEqual(['zebra', 'redis', 'yak']);
  expect(await seen(page.locator('#registries'))).toMatch(
    /Docker\s+in step for .*\s+consul:\/\/x\s+in step for [\s\S]*69 of 70 as wanted/,
  );
  for (const [count, found] of [
    ['1 critical', ['zebra']],
    ['1 in conflict', ['redis']],
    ['1 in warning', ['yak']],
    ['1 not registered', []],
  ] as const) {
    await page.getByRole('button', { name: count }).click();
    expect([count, await shown()]).toEqual([count, found]);
    expect(await page.getByRole('button', { name: count }).getAttribute('aria-pressed')).toBe('true');
  }
  expect(await seen(page.locator('#unregistered'))).toContain('adminer');
  await page.getByRole('button', { name: '68 services' }).click();
  expect(await shown()).toHaveLength(68);
});

test('all well says so', async () => {
  put('redis', WELL);
  surroundings = { registries: [{ name: 'Docker', state: 'in step', differences: [] }], unregistered: [] };
  await open();
  await page.locator('#well', { hasText: 'All well' }).waitFor();
  surroundings = { registries: [{ name: 'Docker', state: 'away', differences: [] }], unregistered: [] };
  await page.locator('#well', { hasText: 'Docker is away' }).waitFor({ timeout: 3_000 });
});

const UNPUBLISHED = {
  container: 'adminer',
  containerId: 'cccccccccccc',
  image: 'registry.example.com/adminer:4',
  ports: [{ port: '8080/tcp', reason: 'not published; publish it, or use --internal or SERVICE_INTERNAL=true' }],
};

test('why is mine not there: containers that run and are not registered, with the reason and what would change it', async () => {
  put('web');
  const ports = [{ port: '443/tcp', reason: 'not published' }];
  const partly = { container: 'web', containerId: 'web-00000000', image: 'redis', ports };
  surroundings = { registries: [], unregistered: [UNPUBLISHED, partly] };
  await open();
  await page.locator('#unregistered').waitFor();
  expect(await seen(page.locator('#unregistered li'))).toMatch(
    /adminer adminer:4\s+8080\/tcp Not published; publish it, or use --internal or SERVICE_INTERNAL=true\./,
  );
  // Of the ports of one that is registered the view of its service says it.
  expect(await filters()).toContain('1 not registered');
  await unfold('redis');
  expect(await seen(page.locator('.view'))).toMatch(/443\/tcp\s+not published\s*not registered/);
});

test('the page is dense: 66 services on 2,600 pixels at a desk, 6,000 on a phone', async () => {
  for (const one of fleet(66, Date.now(), 3)) catalogue.store.put({ ...one, ...(one.check === undefined ? {} : WELL) });
  for (const [width, most] of [
    [1440, 2_600],
    [390, 6_000],
  ] as const) {
    await open({ viewport: { width, height: 900 } });
    expect(await shown()).toHaveLength(66);
    expect(await page.evaluate('document.documentElement.scrollHeight')).toBeLessThan(most);
    expect(await noSidewaysScroll()).toBe(true);
    await page.evaluate('scrollTo(0, 1500)');
    expect((await page.locator('header').boundingBox())?.y).toBe(0);
    if (width === 1440) await page.context().close();
  }
});

test('search, filter and unfolded service are in the URL: a link shows the same, and going back goes back', async () => {
  put('shop-1', { name: 'shop', ...WELL });
  put('cache', { name: 'cache', ...sick('no') });
  await open();
  await page.locator('#search').fill('shop');
  await unfold('shop');
  expect(page.url()).toBe(`${base()}/ui/?q=shop&service=shop`);
  await page.goBack();
  expect(
    await line('shop').getByRole('button', { name: 'shop', exact: false }).first().getAttribute('aria-expanded'),
  ).toBe('false');
  await page.context().close();

  await open({}, '/ui/?q=shop&service=shop');
  expect(await shown()).toEqual(['shop']);
  expect(await page.locator('#search').inputValue()).toBe('shop');
  expect(await page.getByRole('region', { name: 'Service shop' }).isVisible()).toBe(true);
  await page.context().close();
  await open({}, '/ui/?show=critical');
  expect(await shown()).toEqual(['cache']);
});

test('the view of a service: names that do resolve, where each field comes from, and buttons that copy', async () => {
  const { origin } = service({ container: 'shop-1' });
  const sources = {
    name: 'label SERVICE_NAME',
    address: '--ip',
    port: 'published port',
    'meta.team': 'environment SERVICE_TEAM',
  };
  put('shop-1', {
    name: 'shop',
    tags: ['blue'],
    meta: { team: 'a' },
    check: { type: 'ttl', ttl: '1h' },
    origin: { ...origin, exposedPort: 8080, image: 'registry.example.com/acme/shop:2', networks: ['back'], sources },
  });
  catalogue.store.setCheck('node1:shop-1:6379', 'passing', 'HTTP GET: 200 OK');
  await open({ permissions: ['clipboard-read', 'clipboard-write'] }, '/ui/?service=shop');
  const view = page.getByRole('region', { name: 'Service shop' });
  const text = await seen(view);
  for (const part of [
    /Address\s+10\.0\.0\.1:32768\s*--ip, published port/,
    /Name\s+shop\s*label SERVICE_NAME/,
    /Meta team\s+a\s*environment SERVICE_TEAM/,
    /Health\s+passing for /,
    /ttl 1h\s+HTTP GET: 200 OK/,
    /Container\s+shop-1 shop-1-00000/,
    /Image\s+registry\.example\.com\/acme\/shop:2/,
    /Network\s+back/,
    /Tags\s+blue/,
  ]) {
    expect(text.replace(/←\s*/g, '')).toMatch(part);
  }
  expect(await seen(line('shop').locator('.image'))).toBe('acme/shop:2');
  expect(await view.locator('a').getAttribute('href')).toBe('http://10.0.0.1:32768/');

  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${catalogue.dnsPort}`]);
  const names = await view.locator('.lines code').allTextContents();
  expect(names).toEqual([
    'shop.service.consul',
    'blue.shop.service.consul',
    '_shop._tcp.service.consul',
    `dig @127.0.0.1 -p ${catalogue.dnsPort} shop.service.consul SRV`,
    `curl -s '${base()}/v1/health/service/shop'`,
  ]);
  for (const name of names.slice(0, 2)) expect([name, await resolver.resolve4(name)]).toEqual([name, ['10.0.0.1']]);
  expect(await resolver.resolveSrv(names[2] ?? '')).toMatchObject([{ port: 32768 }]);

  for (const [what, copied] of [
    ['Copy name shop.service.consul', 'shop.service.consul'],
    ['Copy address 10.0.0.1:32768', '10.0.0.1:32768'],
    [`Copy dig line ${names[3]}`, names[3]],
    [`Copy curl line ${names[4]}`, names[4]],
  ]) {
    await view.getByRole('button', { name: what ?? '', exact: true }).click();
    await eventuallyPasses(async () => expect(await page.evaluate('navigator.clipboard.readText()')).toBe(copied));
  }

  catalogue.store.setCheck('node1:shop-1:6379', 'critical', 'HTTP GET: 503');
  await view.filter({ hasText: 'No name resolves now: DNS leaves out what is critical' }).waitFor();
  await expect(resolver.resolve4('shop.service.consul')).rejects.toThrow('ENOTFOUND');
});

test('several instances unfold one by one, and stay unfolded when the service changes', async () => {
  for (const i of [1, 2, 3]) put(`web-${i}`, { name: 'web', port: 8000 + i, ...(i === 2 ? sick('no answer') : WELL) });
  await open();
  expect(await seen(line('web').locator('.where'))).toBe('1 of 3 critical');
  await unfold('web');
  const second = page.locator('details', { hasText: '10.0.0.1:8002' });
  // The one to look at is open from the start.
  expect(await seen(second)).toMatch(/Health\s+critical[\s\S]*no answer[\s\S]*web-2/);
  put('web-4', { name: 'web', port: 8004 });
  await page.locator('details', { hasText: '10.0.0.1:8004' }).waitFor();
  expect(await second.getAttribute('open')).toBe('');
  expect(await seen(second)).toContain('no answer');
});

test('a container that is made anew is one line of the changes: what was, and what is', async () => {
  const { origin } = service();
  put('redis', { origin: { ...origin, image: 'redis:7.2' } });
  await open();
  catalogue.store.remove('node1:redis:6379');
  put('redis', {
    port: 4000,
    origin: { ...origin, containerId: 'f'.repeat(64), image: 'redis:7.4', startedAt: Date.now() - 30 },
  });
  await page.locator('#recent li', { hasText: 'recreated' }).waitFor();
  expect(await seen(page.locator('#recent li').first())).toMatch(
    /redis was recreated\s+just now\s+10\.0\.0\.1:4000, \d+ ms after it started\s+image redis:7\.2 → redis:7\.4\s+address 10\.0\.0\.1:32768 → 10\.0\.0\.1:4000/,
  );
  expect(await page.locator('#recent time').first().getAttribute('title')).toMatch(/\d{4}/);
});

test('registrator away: the page says since when, keeps what it knew in grey, and recovers by itself', async () => {
  put('before');
  await open();
  const { httpPort = 0 } = catalogue;
  await catalogue.stop();
  await page.locator('#live', { hasText: /registrator is away since \d.*; what it said last is below/ }).waitFor();
  expect(await shown()).toEqual(['redis']);
  expect(await page.evaluate('getComputedStyle(document.querySelector("main")).filter')).toBe('grayscale(1)');
  expect(await page.getByRole('button', { name: 'Try now' }).isVisible()).toBe(true);
  // Each try waits longer than the one before.
  const tries = () => requests.filter((url) => url.endsWith('/events')).length;
  await page.waitForTimeout(6_000);
  expect(tries()).toBeLessThanOrEqual(5);
  catalogue = make(httpPort);
  put('back', { name: 'back' });
  await catalogue.start();
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.locator('[data-state=live] #live', { hasText: 'Live' }).waitFor({ timeout: 15_000 });
  expect(await shown()).toEqual(['back']);
  errors = errors.filter((error) => !error.includes('ERR_'));
});

test('the search finds by every column, and the keyboard alone does it', async () => {
  put('shop-2', { name: 'shop-a', tags: ['blue'], port: 7001, meta: { team: 'payments' } });
  put('shop-10', { name: 'shop-b', tags: ['green'], address: '2001:db8::1', port: 7002 });
  put('cache', { name: 'redis', protocol: 'udp', ...sick('') });
  await open();
  expect(await shown()).toEqual(['redis', 'shop-a', 'shop-b']);

  await page.keyboard.press('/');
  for (const [words, found] of [
    ['SHOP', ['shop-a', 'shop-b']],
    ['green', ['shop-b']],
    ['10.0.0.1:7001', ['shop-a']],
    ['[2001:db8::1]', ['shop-b']],
    ['critical', ['redis']],
    ['/udp', ['redis']],
    ['team=payments', ['shop-a']],
    ['shop blue', ['shop-a']],
    ['nothing like it', []],
  ] as const) {
    await page.keyboard.press('Escape');
    await page.keyboard.type(words);
    expect(await shown(), words).toEqual(found);
    expect(await seen(page.locator('#count'))).toMatch(new RegExp(`^${found.length} services?, `));
  }
  expect(await page.locator('#no-match').isVisible()).toBe(true);

  put('late', { name: 'nothing like it' });
  await eventuallyPasses(async () => expect(await shown()).toEqual(['nothing like it']));
  await page.keyboard.press('Escape');
  expect(await shown()).toHaveLength(4);

  await page.keyboard.type('zzz');
  await page.locator('#clear').focus();
  await page.keyboard.press('Enter');
  expect(await shown()).toHaveLength(4);
  expect(await page.evaluate('document.activeElement.id')).toBe('search');

  await line('shop-a').locator('button').first().focus();
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.getAttribute("aria-expanded")')).toBe('true');
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.closest(".view") !== null')).toBe(true);
  expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
  await page.keyboard.press('Escape');
  expect(await page.locator('.view').count()).toBe(0);
  expect(await page.evaluate('document.activeElement.textContent')).toContain('shop-a');
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
    expect(headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
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
      meta: Object.fromEntries([[text, text]]),
      check: CHECK,
      health: { status: 'critical', output: text },
      origin: {
        containerId: text,
        containerName: text,
        image: text,
        exposedPort: 80,
        startedAt: 1,
        networks: [text],
        sources: Object.fromEntries([['name', text]]),
      },
    });
  }
  const ports = [{ port: '1/tcp', reason: HOSTILE.join(' ') }];
  surroundings = {
    registries: [],
    unregistered: [{ container: HOSTILE[0] ?? '', containerId: '', image: HOSTILE[5] ?? '', ports }],
  };
  await open({ viewport: { width: 360, height: 800 } });
  await page.locator('#unregistered').waitFor();
  expect(await page.locator('#list h3 bdi').allTextContents()).toHaveLength(HOSTILE.length);
  expect((await page.locator('#list h3 bdi').allTextContents()).sort()).toEqual([...HOSTILE].sort());
  for (const [i] of HOSTILE.entries()) {
    await page.locator('#list h3 button').nth(i).click();
    await page.locator('.view').waitFor();
    expect(await noSidewaysScroll()).toBe(true);
    expect(await page.locator('.view a[href^="javascript" i]').count()).toBe(0);
    await page.locator('#list h3 button').nth(i).click();
  }
  expect(await page.locator('main img, main script, main svg').count()).toBe(0);
  expect(await page.evaluate('document.scripts.length')).toBe(1);
  await page.setViewportSize({ width: 1280, height: 800 });
  expect(await noSidewaysScroll()).toBe(true);
  expect(new Set(requests.map((url) => new URL(url).origin))).toEqual(new Set([base()]));
});

test.each([320, 390, 520, 600, 768, 900, 1024, 1200, 1600])(
  '%i pixels wide, everything is there and nothing scrolls sideways',
  async (width) => {
    put('shop_web_1', {
      name: 'web',
      tags: ['http', `urlprefix-shop.example.com/${'a/rather/long/path/of/it/'.repeat(8)}`],
    });
    put('db', { name: 'db', address: '2001:db8:1234:5678:9abc:def0:1234:5678', tags: [] });
    await open({ viewport: { width, height: 800 } });
    expect(await noSidewaysScroll()).toBe(true);
    expect((await line('web').boundingBox())?.height).toBeLessThan(60);
    for (const name of ['web', 'db']) {
      await unfold(name);
      expect(await noSidewaysScroll()).toBe(true);
      for (const part of await page.locator('.view :is(dd, li)').all()) {
        const box = await part.boundingBox();
        expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= width).toBe(true);
      }
    }
  },
);

test.each(['light', 'dark'] as const)('the %s colours are as the reader asks, and can be read', async (colorScheme) => {
  for (const status of ['passing', 'warning', 'critical'] as const) {
    put(status, { name: status, tags: ['tag'], check: CHECK, health: { status, output: `it is ${status}` } });
  }
  put('unchecked');
  surroundings = { registries: [{ name: 'Docker', state: 'in step', differences: [] }], unregistered: [UNPUBLISHED] };
  await open({ colorScheme }, '/ui/?service=critical');
  await page.locator('#unregistered').waitFor();
  const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
  const [r = 0, g = 0, b = 0] = (ground.match(/\d+/g) ?? []).map(Number);
  expect(r + g + b > 382).toBe(colorScheme === 'light');
  // What has just appeared is lit for three seconds.
  await eventuallyPasses(async () => expect(await page.evaluate('document.getAnimations().length')).toBe(0));
  const measured = await page.evaluate<[text: string, ratio: number][]>('contrasts()');
  expect(measured.length).toBeGreaterThan(30);
  expect(measured.filter(([, ratio]) => ratio < 4.5)).toEqual([]);
});

test('who wants no motion sees none', async () => {
  await open({ reducedMotion: 'reduce' });
  put('redis');
  await line('redis').waitFor();
  expect(await page.evaluate('document.getAnimations().length')).toBe(0);
});

test.each([
  ['at a desk', { viewport: { width: 1280, height: 800 } }],
  ['on a phone, dark', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }],
] as const)('axe finds nothing serious %s, in any state of the page', async (_, options) => {
  await open(options);
  await clean('empty');
  put('redis', { tags: ['a'], ...WELL });
  put('web-1', { name: 'web', ...sick('connection refused') });
  put('web-2', { name: 'web', ...WELL });
  surroundings = {
    registries: [
      {
        name: 'consul://x',
        state: 'catching up',
        wanted: 3,
        differences: [{ kind: 'extra', id: 'y', service: 'old', there: '10.0.0.1:1', why: 'It is being written.' }],
      },
    ],
    unregistered: [UNPUBLISHED],
  };
  await page.locator('#extra').waitFor();
  await line('web').waitFor();
  await clean('full');
  for (const name of ['redis', 'web']) {
    await line(name).getByRole('button').first().click();
    for (const one of await page.locator('details').all()) await one.locator('summary').click();
    await clean(`${name} unfolded`);
  }
  await page.locator('#search').fill('zzz');
  await clean('nothing found');
});

async function clean(state: string): Promise<void> {
  await eventuallyPasses(async () => expect(await page.evaluate('document.getAnimations().length')).toBe(0));
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect([state, grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)]).toEqual([
    state,
    [],
  ]);
}

test('a screen reader finds landmarks, headings, a labelled search and what is said as it changes', async () => {
  put('redis', { tags: ['a'], ...WELL });
  await open();
  expect(await page.getByRole('banner').count()).toBe(1);
  expect(await page.getByRole('main').count()).toBe(1);
  expect(await seen(page.getByRole('heading', { level: 1 }))).toBe('registrator');
  expect(
    await page
      .getByRole('search')
      .getByRole('searchbox', { name: /^Search services/ })
      .count(),
  ).toBe(1);
  expect(
    await page.getByRole('region', { name: 'Services' }).getByRole('list').first().getByRole('listitem').count(),
  ).toBe(1);
  expect(await page.getByRole('heading', { level: 3, name: 'passing redis' }).count()).toBe(1);
  expect(await page.getByRole('group', { name: 'Show only' }).getByRole('button').count()).toBe(1);
  expect(await page.getByRole('status').filter({ hasText: 'Live' }).count()).toBe(1);
  expect(await page.locator('html').getAttribute('lang')).toBe('en');
  await page.keyboard.press('Tab');
  expect(await seen(page.locator(':focus'))).toBe('Skip to the services');
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('services');
});

test('thousands of services, and a storm of changes, keep the page answering', async () => {
  const many = fleet(2_000, Date.now());
  for (const one of many) catalogue.store.put({ ...one, ...(one.check === undefined ? {} : WELL) });
  await open();
  expect(await filters()).toEqual([`2000 services, ${many.length} instances`]);
  for (const one of many) catalogue.store.put({ ...one, port: one.port + 1, ...(one.check === undefined ? {} : WELL) });
  const last = many.at(-1);
  await line(last?.name ?? '')
    .getByText(`${last?.address}:${(last?.port ?? 0) + 1}`)
    .waitFor({ state: 'attached', timeout: 5_000 });
  await page.locator('#search').fill(last?.name ?? '');
  expect(await shown()).toContain(last?.name);
});

test('a check that fails is on the page with its reason', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await open();
  put('web', { check: { type: 'tcp', target: `127.0.0.1:${port}` } });
  await line('redis').filter({ hasText: 'ECONNREFUSED' }).waitFor({ timeout: 5_000 });
});
