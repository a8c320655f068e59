import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import { digShort } from '../support/dig.ts';
import { service } from '../support/service.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

function create(over: object = {}): Catalogue {
  const log = pino({ level: 'silent' });
  return new Catalogue({ nodeName: 'node1', http: LOOPBACK, dns: LOOPBACK, log, ...over });
}

test('it starts, answers, stops, and starts again with what it held', async () => {
  const catalogue = create();
  expect(catalogue.httpPort).toBeUndefined();
  catalogue.store.put(service());
  for (let round = 0; round < 2; round++) {
    await catalogue.start();
    const services = await fetch(`http://127.0.0.1:${catalogue.httpPort}/v1/catalog/services`);
    expect(await services.json()).toEqual({ redis: [] });
    expect(await digShort(catalogue.dnsPort ?? 0, 'redis.service.consul')).toEqual(['10.0.0.1']);
    await expect(catalogue.start()).rejects.toThrow('started already');
    await catalogue.stop();
    await catalogue.stop();
  }
});

test('without DNS only HTTP answers', async () => {
  const catalogue = create({ dns: undefined });
  await catalogue.start();
  expect(catalogue.dnsPort).toBeUndefined();
  expect((await fetch(`http://127.0.0.1:${catalogue.httpPort}/v1/status/leader`)).status).toBe(200);
  await catalogue.stop();
});

test('the domain, the TTL and an IPv6 address to listen on are as set', async () => {
  const catalogue = create({ domain: 'corp.internal', http: { host: '::1', port: 0 } });
  catalogue.store.put(service());
  await catalogue.start();
  expect((await fetch(`http://[::1]:${catalogue.httpPort}/v1/status/leader`)).status).toBe(200);
  expect(await digShort(catalogue.dnsPort ?? 0, 'redis.service.corp.internal')).toEqual(['10.0.0.1']);
  await catalogue.stop();
});

test('after stop nothing keeps the process alive: checks, waiting queries and connections end', async () => {
  const script = fileURLToPath(new URL('stops.ts', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: 'inherit', timeout: 8000 });
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
}, 10_000);
