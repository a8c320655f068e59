import { hostname } from 'node:os';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DockerEngine } from '../support/engine.ts';
import { eventually, eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';

const IP = '10.9.8.7';

let engine: DockerEngine;
beforeAll(async () => {
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await engine.importImage('acme/web:1', { expose: [8080] });
  await engine.docker('swarm', 'init', '--advertise-addr', '127.0.0.1');
});
afterAll(() => engine.dispose());
afterEach(async () => {
  await engine.docker('service', 'rm', 'shop');
  await eventually(async () => (await engine.docker('ps', '-q')) === '');
});

const createShop = (...words: string[]) =>
  engine.docker('service', 'create', '-d', '--no-resolve-image', '--name', 'shop', ...words, 'acme/web:1');

async function start(...flags: string[]) {
  const http = await freePort();
  const args = ['--ip', IP, ...flags, `memory://127.0.0.1:${http}?dns=off`];
  const registrator = new Registrator(args, { host: engine.host });
  await registrator.waitForLog('looked at every container');
  const instances = async (name: string) =>
    (await (await fetch(`http://127.0.0.1:${http}/v1/catalog/service/${name}`)).json()) as Record<string, unknown>[];
  return { registrator, instances };
}

it("registers a service's tasks at the node's address and the port that the ingress network publishes", async () => {
  const { registrator, instances } = await start('--swarm', '--resync', '1');
  await using _ = registrator;
  const labels = ['-l', 'SERVICE_TAGS=blue', '-l', 'SERVICE_REGION=eu', '--container-label', 'SERVICE_REGION=us'];
  await createShop('-p', '8000:8080', '--replicas', '2', ...labels);
  const shop = { ServiceAddress: IP, ServicePort: 8000, ServiceTags: ['blue'], ServiceMeta: { region: 'us' } };
  await eventuallyPasses(async () => expect(await instances('shop')).toMatchObject([shop, shop]), {
    deadlineMs: 20_000,
  });
  const [first] = await instances('shop');
  expect(first?.ServiceID).toMatch(new RegExp(`^${hostname()}:shop\\.[12]\\.[a-z0-9]+:8080$`));
  // A change of the service alone touches no container: it is seen at the next resync.
  await engine.docker('service', 'update', '-d', '--label-add', 'SERVICE_TAGS=green', 'shop');
  await eventuallyPasses(async () =>
    expect(await instances('shop')).toMatchObject([{ ServiceTags: ['green'] }, { ServiceTags: ['green'] }]),
  );
  await engine.docker('service', 'scale', '-d', 'shop=1');
  await eventuallyPasses(async () => expect(await instances('shop')).toHaveLength(1), { deadlineMs: 20_000 });
});

it('registers ports published in host mode as those of any container', async () => {
  const { registrator, instances } = await start('--swarm');
  await using _ = registrator;
  await createShop('-p', 'published=8001,target=8080,mode=host');
  await eventuallyPasses(async () =>
    expect(await instances('shop')).toMatchObject([{ ServiceAddress: IP, ServicePort: 8001 }]),
  );
});

it('takes out a task that an update replaces while it still serves', async () => {
  const { registrator, instances } = await start('--swarm', '--resync', '1');
  await using _ = registrator;
  await engine.docker(
    ...[
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--name',
      'shop',
      '-p',
      'published=8001,target=8080,mode=host',
    ],
    ...['acme/web:1', 'sh', '-c', "trap 'sleep 3; exit 0' TERM; while :; do sleep 1 & wait; done"],
  );
  await eventuallyPasses(async () => expect(await instances('shop')).toHaveLength(1), { deadlineMs: 20_000 });
  const [before = ''] = (await engine.docker('ps', '-q')).split('\n');
  await engine.docker('service', 'update', '-d', '--force', 'shop');
  await registrator.waitForLog('the container was told to stop: its services leave while it still serves');
  expect(await instances('shop')).toEqual([]);
  expect((await engine.inspect(before)).State.Running).toBe(true);
  await eventuallyPasses(async () => expect(await instances('shop')).toHaveLength(1), { deadlineMs: 20_000 });
});

it('leaves ingress ports alone without --swarm, and says why', async () => {
  await createShop('-p', '8000:8080');
  await eventually(async () => (await engine.docker('ps', '-q')) !== '');
  const without = await runRegistrator(['check'], { host: engine.host });
  expect(without.stdout).toMatch(/8080\/tcp +not published; .*--swarm/);
  const { stdout } = await runRegistrator(['check', '--swarm', '--ip', IP], { host: engine.host });
  expect(stdout).toMatch(/8080\/tcp +shop +10\.9\.8\.7:8000/);
});
