import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dig, digShort } from '../support/dig.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

/** The program as a whole with what is set of the embedded catalogue. */

let docker: SimulatedDocker;
let folder: string;
let http: number;
let dns: number;

beforeEach(async () => {
  docker = await new SimulatedDocker().up();
  folder = await mkdtemp(join(tmpdir(), 'registrator-catalogue-'));
  [http, dns] = [await freePort(), await freePort()];
});
afterEach(async () => {
  await docker[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const start = (...flags: string[]) =>
  new Registrator(['--ip', '10.9.8.7', ...flags, `memory://:${http}?dns=${dns}`], { host: docker.host });

const services = async () =>
  Object.keys((await (await fetch(`http://127.0.0.1:${http}/v1/catalog/services`)).json()) as object).sort();

/** The first message of a page's event stream. */
async function page(port: number) {
  const response = await fetch(`http://127.0.0.1:${port}/ui/events`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('\n\n')) text += (await reader?.read())?.value ?? '';
  await reader?.cancel();
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '{}');
}

it('killed and started again with a snapshot, it answers at once, and then is true to Docker', async () => {
  const snapshot = join(folder, 'snapshot.json');
  docker.run({ name: 'stays', image: 'web:1', publish: { '80/tcp': 0 } });
  docker.run({ name: 'goes', image: 'redis:1', publish: { '6379/tcp': 0 } });
  {
    await using first = start('--snapshot', snapshot);
    await first.waitForLog('looked at every container');
    await eventuallyPasses(async () => expect(JSON.parse(await readFile(snapshot, 'utf8')).services).toHaveLength(2));
    first.kill('SIGKILL');
    await first.exited;
  }
  docker.remove('goes');
  // Docker says what runs, and takes its time to tell more.
  docker.inspectFault = () => ({ kind: 'slow', delayMs: 4_000 });
  await using next = start('--snapshot', snapshot);
  await next.waitForLog('answering with what ran before the restart');
  await eventuallyPasses(async () => expect(await digShort(dns, 'redis.service.consul')).toEqual(['10.9.8.7']));
  expect(await services()).toEqual(['redis', 'web']);
  expect((await page(http)).rows.map((row: { fromSnapshot: boolean }) => row.fromSnapshot)).toEqual([true, true]);

  await eventuallyPasses(async () => expect(await services()).toEqual(['web']));
  expect((await page(http)).rows).toMatchObject([{ container: 'stays', fromSnapshot: false }]);
});

it('the domain, the TTL and the resolvers for other names are as the flags say', async () => {
  const other = await freePort();
  docker.run({ name: 'web', image: 'web:1', publish: { '80/tcp': 0 } });
  await using upstream = new Registrator(
    ['--ip', '10.1.1.1', '--dns-domain', 'elsewhere', `memory://:0?dns=${other}`],
    {
      host: docker.host,
    },
  );
  await upstream.waitForLog('looked at every container');
  await using registrator = start('--dns-domain', 'svc.test', '--dns-ttl', '7', '--dns-forward', `127.0.0.1:${other}`);
  await registrator.waitForLog('looked at every container');
  await eventually(async () => (await dig(dns, 'web.service.svc.test')).status === 'NOERROR');
  const { answer, flags } = await dig(dns, 'web.service.svc.test');
  expect(answer).toMatchObject([{ ttl: 7, data: '10.9.8.7' }]);
  expect(flags).toContain('ra');
  expect(await digShort(dns, 'web.service.elsewhere')).toEqual(['10.1.1.1']);
  expect((await page(http)).dns).toEqual({ domain: 'svc.test', port: dns });
});

it('--http has the page too, with Docker and each registry as they are', async () => {
  const ops = await freePort();
  docker.run({ name: 'web', image: 'web:1', publish: { '80/tcp': 0 } });
  docker.run({ name: 'hidden', image: 'web:1' });
  await using registrator = new Registrator(
    ['--ip', '10.9.8.7', '--http', `127.0.0.1:${ops}`, `memory://:${http}?dns=off`, 'consul://127.0.0.1:1'],
    { host: docker.host },
  );
  await registrator.waitForLog('looked at every container');
  expect(await (await fetch(`http://127.0.0.1:${ops}/`)).text()).toContain('<title>registrator</title>');
  await eventuallyPasses(async () => {
    const row = { service: 'web', container: 'web', address: '10.9.8.7', image: 'web:1', health: 'none' };
    const around = {
      node: 'simulated',
      rows: [{ ...row, sources: { address: '--ip', name: 'default: the image', port: 'published port' } }],
      unregistered: [{ container: 'hidden' }],
      registries: [
        { name: 'Docker', state: 'in step' },
        { name: `memory://127.0.0.1:${http}`, state: 'in step' },
        {
          name: 'consul://127.0.0.1:1',
          state: 'away',
          differences: [{ kind: 'missing', id: 'simulated:web:80', why: expect.stringContaining('does not answer') }],
        },
      ],
    };
    expect(await page(ops)).toMatchObject(around);
    expect(await page(http)).toMatchObject(around);
  });
  expect((await fetch(`http://127.0.0.1:${ops}/metrics`)).status).toBe(200);
  // A page that is open keeps nobody from stopping.
  const watching = await fetch(`http://127.0.0.1:${ops}/ui/events`);
  const before = performance.now();
  expect(await registrator.stop()).toBe(0);
  expect(performance.now() - before).toBeLessThan(8_000);
  await watching.body?.cancel().catch(() => undefined);
});
