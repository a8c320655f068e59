import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import type { Client } from './clients/client.ts';
import { consulTemplate, fabio, prometheus } from './clients/loops.ts';
import { consulWatch, haproxy, nginx, npmConsul, pythonConsul } from './clients/packaged.ts';

/** Clients of Consul as people run them, all at once on one `memory://`, over changes and restarts of registrator. */

const docker = new SimulatedDocker();
const backends = new Map<string, ReturnType<typeof createServer>>();
const clients: Client[] = [];
/** What the table in docs/embedded-catalogue.md is made from: seconds, by client and by what happened. */
const seconds = new Map<string, Map<string, number>>();
let registrator: Registrator;
let place: { http: number; dns: number };
let port: number;

beforeAll(async () => {
  await docker.up();
  port = await freePort();
  place = { http: await freePort(), dns: await freePort() };
  for (const last of [11, 12, 13, 14]) {
    const address = `127.0.0.${last}`;
    const backend = createServer((_, response) => response.end(address));
    backends.set(address, backend);
    await new Promise<void>((listening) => backend.listen(port, address, listening));
  }
});
afterAll(async () => {
  for (const client of clients) client.stop();
  for (const backend of backends.values()) backend.close();
  await registrator?.[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
  console.table(Object.fromEntries([...seconds].map(([name, times]) => [name, Object.fromEntries(times)])));
});

function start(): void {
  registrator = new Registrator([`memory://:${place.http}?dns=${place.dns}`], { host: docker.host });
}

function run(last: number): void {
  // fabio routes to nothing that has no check.
  const check = { SERVICE_CHECK_TCP: 'true', SERVICE_CHECK_INTERVAL: '1s' };
  const labels = { SERVICE_NAME: 'web', SERVICE_IP: `127.0.0.${last}`, ...check };
  docker.run({
    name: `web-${last}`,
    labels,
    publish: { '80/tcp': [{ HostIp: `127.0.0.${last}`, HostPort: `${port}` }] },
  });
}

/** Waits until every client uses these instances and no others, and notes how long each of them took. */
async function allUse(what: string, lasts: readonly number[], limits: (name: string) => number): Promise<void> {
  const began = performance.now();
  const expected = lasts.map((last) => `127.0.0.${last}`);
  await Promise.all(
    clients.map(async (client) => {
      await eventuallyPasses(async () => expect([...((await client.addresses()) ?? [])].sort()).toEqual(expected), {
        deadlineMs: limits(client.name) * 1000,
        everyMs: 50,
      }).catch((error: Error) => {
        throw new Error(`${client.name}, ${what}: ${error.message}`);
      });
      const times = seconds.get(client.name) ?? new Map();
      seconds.set(client.name, times.set(what, Math.round(performance.now() - began) / 1000));
    }),
  );
}

/**
 * Seconds: 3 after a change and 5 after a restart is what they are to be, as the table says, with some more here for a
 * machine that is busy with other tests. Some wait for so long after an error by themselves, whatever they are told.
 */
const OWN_WAIT: Readonly<Record<string, number>> = { "Consul's own CLI": 5, Prometheus: 15 };
const CHANGE = () => 3 + 2;
const RESTART = (name: string) => 5 + 3 + (OWN_WAIT[name] ?? 0);

test('who asks while containers are looked at is told to come again, and never sees a part of them', async () => {
  await using crowd = await new SimulatedDocker().up();
  crowd.fill(200);
  const http = await freePort();
  await using starting = new Registrator([`memory://:${http}?dns=off`], { host: crowd.host });
  const first = await eventually(
    async () => {
      // Consul's own CLI gives up where its first question, about the agent, is an error.
      expect((await fetch(`http://127.0.0.1:${http}/v1/agent/self`)).status).toBe(200);
      const response = await fetch(`http://127.0.0.1:${http}/v1/agent/services`);
      const text = await response.text();
      if (response.ok) return JSON.parse(text) as object;
      expect([response.status, text]).toEqual([500, 'No cluster leader']);
      return undefined;
    },
    { everyMs: 1 },
  );
  expect(Object.keys(first)).toHaveLength(400);
  expect(starting.running).toBe(true);
});

test('first read', async () => {
  run(11);
  run(12);
  start();
  // Until then they wait as after an error: 15 s in one case.
  await registrator.waitForLog('looked at every container');
  clients.push(npmConsul(place), consulTemplate(place), fabio(place), prometheus(place), consulWatch(place));
  clients.push(pythonConsul(place), await haproxy(place), await nginx(place, port));
  await allUse('first read', [11, 12], () => 30);
});

test('a container comes, and another one goes', async () => {
  run(13);
  await allUse('one comes', [11, 12, 13], CHANGE);
  docker.kill('web-11');
  await allUse('one goes', [12, 13], CHANGE);
});

test('at rest nobody asks without need', async () => {
  const loops = clients.filter((client): client is ReturnType<typeof fabio> => 'asked' in client);
  await sleep(1_000);
  const before = [cpu(registrator.pid), ...loops.map((client) => client.asked())];
  await sleep(5_000);
  const after = [cpu(registrator.pid), ...loops.map((client) => client.asked())];
  const [used = 0, ...asked] = after.map((value, i) => value - (before[i] ?? 0));
  expect(asked).toEqual([0, 0, 0]);
  const core = used / 5;
  seconds.set('registrator, of a core at rest', new Map([['share', core]]));
  expect(core).toBeLessThan(0.05);
});

/** Seconds that the process has worked. */
function cpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

test('registrator is restarted, with other containers', async () => {
  await registrator.stop();
  docker.kill('web-12');
  run(14);
  start();
  await allUse('restart', [13, 14], RESTART);
});

test('registrator is away for 20 seconds', async () => {
  await registrator.stop();
  await sleep(20_000);
  docker.kill('web-13');
  start();
  await allUse('away for 20 s', [14], (name) => RESTART(name) + 20);
});
