import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import { dig, digShort } from '../support/dig.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { service } from '../support/service.ts';

/** The catalogue behind a real dnsmasq, as docs/embedded-catalogue.md says, and in front of one. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const started: ChildProcess[] = [];
const catalogues: Catalogue[] = [];
let port: number;

beforeEach(async () => {
  port = await freePort();
});
afterEach(async () => {
  await Promise.all(catalogues.splice(0).map((catalogue) => catalogue.stop()));
  for (const child of started.splice(0)) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

async function catalogue(over: object = {}): Promise<number> {
  const made = new Catalogue({
    nodeName: 'node1',
    http: LOOPBACK,
    dns: LOOPBACK,
    log: pino({ level: 'silent' }),
    ...over,
  });
  catalogues.push(made);
  await made.start();
  made.store.put(service({ address: '192.0.2.7', port: 6380 }));
  return made.dnsPort ?? 0;
}

/** `dnsmasq` on a loopback port, with these settings and none of the host's. */
async function dnsmasq(...settings: string[]): Promise<void> {
  const own = [`port=${port}`, 'listen-address=127.0.0.1', 'bind-interfaces', 'no-resolv', 'no-hosts', 'user=root'];
  const child = spawn(
    '/usr/sbin/dnsmasq',
    [
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--pid-file=',
      ...[...own, ...settings].map((setting) => `--${setting}`),
    ],
    { stdio: 'ignore' },
  );
  started.push(child);
  await eventually(async () => (await dig(port, 'version.bind', 'TXT', '-c', 'CH')).status === 'NOERROR');
}

test('the recipe of the docs: dnsmasq asks us for our names and our addresses', async () => {
  const dns = await catalogue();
  const page = await readFile(new URL('../../docs/embedded-catalogue.md', import.meta.url), 'utf8');
  const settings = /```conf\n([\s\S]*?)```/.exec(page)?.[1]?.trim().split('\n') ?? [];
  expect(settings).toHaveLength(2);
  await dnsmasq(...settings.map((setting) => setting.replace('#8600', `#${dns}`)));
  expect(await digShort(port, 'redis.service.consul')).toEqual(['192.0.2.7']);
  expect(await digShort(port, 'redis.service.consul', 'SRV')).toEqual(['1 1 6380 c0000207.addr.dc1.consul.']);
  expect(await digShort(port, '-x', '192.0.2.7')).toEqual(['redis.service.dc1.consul.']);
  expect((await dig(port, 'none.service.consul')).status).toBe('NXDOMAIN');
});

test('--dns-forward to a dnsmasq: its names through us, and from our cache when it is gone', async () => {
  await dnsmasq(
    'address=/host.example/198.51.100.5',
    'txt-record=long.example,'.concat('x'.repeat(200)),
    'local-ttl=60',
  );
  const dns = await catalogue({ forward: [{ host: '127.0.0.1', port }] });
  expect(await digShort(dns, 'host.example')).toEqual(['198.51.100.5']);
  expect(await digShort(dns, 'long.example', 'TXT')).toEqual([`"${'x'.repeat(200)}"`]);
  expect(await digShort(dns, 'redis.service.consul')).toEqual(['192.0.2.7']);
  const [child] = started.splice(0);
  child?.kill('SIGKILL');
  if (child !== undefined) await once(child, 'exit');
  expect(await digShort(dns, 'host.example')).toEqual(['198.51.100.5']);
  await eventuallyPasses(async () => expect((await dig(dns, 'new.example')).status).toBe('SERVFAIL'));
});
