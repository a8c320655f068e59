// Photographs the page for the docs: `npm run screenshots`, with Debian's chromium. Says what it measured meanwhile.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type Browser, chromium, type Page } from 'playwright-core';
import { CatalogueServer } from '../src/catalogue/http/server.ts';
import type { Surroundings } from '../src/catalogue/index.ts';
import { Store } from '../src/catalogue/store.ts';
import type { Service } from '../src/services/index.ts';
import { CHROMIUM } from '../test/support/chromium.ts';
import { fleet } from '../test/support/fleet.ts';
import { withPalette } from './png.ts';

const IMAGES = fileURLToPath(new URL('../docs/images/', import.meta.url));
const DESK = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const UNPUBLISHED = 'not published; publish it, or use --internal or SERVICE_INTERNAL=true';
const SURROUNDINGS: Surroundings = {
  registries: [
    { name: 'Docker', state: 'in step', differences: [] },
    { name: 'memory://127.0.0.1:8500', state: 'in step', wanted: 78, differences: [] },
  ],
  unregistered: [
    container('adminer', 'adminer:4.8.1', '8080/tcp', UNPUBLISHED),
    container(
      'backup',
      'restic/restic:0.17',
      '-',
      'it has no port: neither its image nor docker run exposes or publishes one',
    ),
    container('metrics-agent', 'prom/node-exporter:v1.8', '9100/tcp', '"SERVICE_IGNORE" asks to ignore it'),
  ],
};

function container(name: string, image: string, port: string, reason: string): Surroundings['unregistered'][number] {
  return { container: name, containerId: name, image, ports: [{ port, reason }] };
}

/** A host with so many services, some of them down, and what has just happened on it. */
async function host(count: number, critical: number): Promise<{ server: CatalogueServer; url: string }> {
  const store = new Store({ name: 'node1', address: '192.0.2.17' });
  const services = fleet(count, Date.now(), critical);
  for (const service of services) put(store, service);
  const server = new CatalogueServer(store, {
    host: '127.0.0.1',
    port: 0,
    log: pino({ level: 'silent' }),
    dns: () => ({ domain: 'consul', port: 8600 }),
    surroundings: () => SURROUNDINGS,
    report: () => false,
  });
  await server.listen();
  happen(store, services);
  return { server, url: `http://127.0.0.1:${server.port}/ui/` };
}

/** As the catalogue's checks would find it, without asking anybody. */
function put(store: Store, service: Service): void {
  store.put(service);
  if (service.check === undefined || service.check.type === 'docker') return;
  const down = service.check.initialStatus === 'critical';
  const output = down ? `connect ECONNREFUSED ${service.address}:${service.port}` : 'HTTP GET: 200 OK';
  store.setCheck(service.id, down ? 'critical' : 'passing', output);
}

function happen(store: Store, services: readonly Service[]): void {
  const named = (name: string) => services.find((service) => service.origin.containerName === name);
  const [gone, changed, anew, sick] = ['mailhog', 'redis', 'postgres', 'web-2'].map(named);
  if (gone !== undefined) store.remove(gone.id);
  if (changed !== undefined) put(store, { ...changed, tags: ['cache', 'replica'] });
  if (anew !== undefined) {
    const origin = { ...anew.origin, containerId: 'f'.repeat(64), image: 'postgres:17.3', startedAt: Date.now() - 41 };
    store.remove(anew.id);
    put(store, { ...anew, origin });
  }
  if (sick?.check !== undefined)
    store.setCheck(sick.id, 'critical', `HTTP GET http://${sick.address}:${sick.port}/health: 503 Service Unavailable`);
}

async function open(
  browser: Browser,
  url: string,
  viewport = DESK,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Page> {
  const context = await browser.newContext({
    viewport,
    colorScheme,
    reducedMotion: 'reduce',
    isMobile: viewport === PHONE,
    hasTouch: viewport === PHONE,
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForSelector('[data-state=live]');
  await page.locator('#unregistered, #no-match').first().waitFor({ state: 'attached' });
  await page.waitForTimeout(300);
  return page;
}

async function shoot(page: Page, name: string): Promise<void> {
  const picture = withPalette(await page.screenshot());
  writeFileSync(`${IMAGES}${name}.png`, picture);
  const height = await page.evaluate('document.documentElement.scrollHeight');
  console.log(`${name}: ${picture.length >> 10} KiB; the whole page is ${height} px high`);
  await page.context().close();
}

/** In a browser as it comes, with nothing kept: when something is seen, and how long a key in the search takes. */
async function measure(browser: Browser, url: string): Promise<void> {
  const context = await browser.newContext({ viewport: DESK });
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('#list > li').first().waitFor();
  const painted = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime");
  const listed = await page.evaluate('performance.now()');
  const keys: number[] = [];
  for (const key of ['g', 'r', 'a', 'f', 'a', 'n', 'a', 'Backspace', 'Backspace', 'Backspace']) {
    if (keys.length === 0) await page.keyboard.press('/');
    // From the key to the next frame that is drawn.
    await page.evaluate(
      `window.drawn = new Promise((done) => addEventListener('keydown', () => {
        const at = performance.now();
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - at)));
      }, { once: true, capture: true })); 0`,
    );
    await page.keyboard.press(key);
    keys.push(await page.evaluate<number>('window.drawn'));
  }
  const worst = Math.max(...keys);
  console.log(
    `first paint ${Math.round(Number(painted))} ms, all listed ${Math.round(Number(listed))} ms; a key in the search: ${Math.round(worst)} ms at worst`,
  );
  await context.close();
}

mkdirSync(IMAGES, { recursive: true });
const browser = await chromium.launch(CHROMIUM);
const busy = await host(66, 3);
await shoot(await open(browser, busy.url), 'page');
await shoot(await open(browser, `${busy.url}?service=web`), 'service');
await shoot(await open(browser, `${busy.url}?service=billing-traefik`, DESK, 'dark'), 'dark');
await shoot(await open(browser, busy.url, PHONE), 'phone');
await shoot(await open(browser, `${busy.url}?show=unregistered`), 'unregistered');
const leaving = await open(browser, busy.url);
await busy.server.close();
await leaving.locator('[data-state=away]').waitFor();
await shoot(leaving, 'away');
const down = await host(66, 66);
await shoot(await open(browser, down.url), 'all-critical');
await down.server.close();
const many = await host(2_000, 0);
await measure(browser, many.url);
await shoot(await open(browser, many.url), 'many');
await many.server.close();
await browser.close();
