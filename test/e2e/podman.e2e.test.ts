import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { PodmanService } from '../support/podman.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';

let podman: PodmanService;
beforeAll(async () => {
  podman = await new PodmanService().start();
  await podman.importImage('acme/redis:7', [6379]);
});
afterAll(() => podman.dispose());

it("works against Podman's Docker-compatible socket: started is registered, stopped is gone", async () => {
  const http = await freePort();
  const args = ['-ip', '10.9.8.7', `memory://127.0.0.1:${http}?dns=off`];
  const instances = async () => {
    const response = await fetch(`http://127.0.0.1:${http}/v1/catalog/service/redis`);
    return (await response.json()) as unknown[];
  };
  await using registrator = new Registrator(args, { host: podman.host });
  await registrator.waitForLog('looked at every container');
  await podman.podman('run', '-d', '-p', '6400:6379', '--name', 'cache', '-l', 'SERVICE_TAGS=a,b', 'acme/redis:7');
  await eventuallyPasses(async () =>
    expect(await instances()).toMatchObject([
      { ServiceAddress: '10.9.8.7', ServicePort: 6400, ServiceTags: ['a', 'b'] },
    ]),
  );
  await podman.podman('pause', 'cache');
  await registrator.waitForLog('health changed');
  await podman.podman('unpause', 'cache');
  await podman.podman('stop', '-t', '0', 'cache');
  await eventuallyPasses(async () => expect(await instances()).toEqual([]));
  await podman.podman('start', 'cache');
  await eventuallyPasses(async () => expect(await instances()).toHaveLength(1));
  await podman.podman('rm', '-f', '-t', '0', 'cache');
  await eventuallyPasses(async () => expect(await instances()).toEqual([]));
  expect(await registrator.stop()).toBe(0);
});

it('takes out a Podman container when it has ended: Podman tells of no stop before', async () => {
  const http = await freePort();
  await using registrator = new Registrator(['-ip', '10.9.8.7', `memory://127.0.0.1:${http}?dns=off`], {
    host: podman.host,
  });
  const instances = async () =>
    (await (await fetch(`http://127.0.0.1:${http}/v1/catalog/service/redis`)).json()) as unknown[];
  const graceful = ['sh', '-c', "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done"];
  await podman.podman('run', '-d', '-p', '6401:6379', '--name', 'slow', 'acme/redis:7', ...graceful);
  await eventuallyPasses(async () => expect(await instances()).toHaveLength(1));
  const stopped = podman.podman('stop', 'slow');
  await holds(async () => expect(await instances()).toHaveLength(1), 1_000);
  await stopped;
  await eventuallyPasses(async () => expect(await instances()).toEqual([]));
  expect(registrator.running).toBe(true);
});

it('checks a Podman container by its name', async () => {
  await podman.podman('run', '-d', '--name', 'inner', 'acme/redis:7');
  const address = await podman.podman('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'inner');
  const { code, stdout } = await runRegistrator(['check', '-internal', 'inner'], { host: podman.host });
  expect(code).toBe(0);
  expect(stdout).toContain(`${address}:6379`);
});
