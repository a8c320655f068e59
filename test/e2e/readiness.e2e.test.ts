import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { digShort } from '../support/dig.ts';
import { DockerEngine } from '../support/engine.ts';
import { EtcdServer } from '../support/etcd.ts';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';

let engine: DockerEngine;
let etcd: EtcdServer;
beforeAll(async () => {
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await engine.importImage('slow', {
    expose: [80],
    healthcheck: '--interval=1s --retries=1 --start-period=60s CMD test -e /well',
  });
  await engine.importImage('plain', { expose: [80] });
  etcd = await new EtcdServer().start();
});
afterAll(async () => {
  await etcd.dispose();
  await engine.dispose();
});
beforeEach(() => () => engine.removeContainers());

const start = (...words: string[]) =>
  new Registrator(['--ip', '10.9.8.7', '--hostname', 'node1', ...words], { host: engine.host });

it('memory:// answers with a container that has a HEALTHCHECK only once it is healthy', async () => {
  const [http, dns] = [await freePort(), await freePort()];
  await using registrator = start(`memory://:${http}?dns=${dns}`);
  await engine.run('-P', '--name', 'aa', 'slow');
  await registrator.waitForLog((line) => line.msg === 'registered' && line.container === 'aa');
  const passing = async () => {
    const answer = await fetch(`http://127.0.0.1:${http}/v1/health/service/slow?passing`);
    return ((await answer.json()) as unknown[]).length;
  };
  await holds(async () => {
    expect(await digShort(dns, 'slow.service.consul')).toEqual([]);
    expect(await passing()).toBe(0);
  }, 1_500);
  await engine.docker('exec', 'aa', 'touch', '/well');
  await eventuallyPasses(async () => {
    expect(await digShort(dns, 'slow.service.consul')).toEqual(['10.9.8.7']);
    expect(await passing()).toBe(1);
  });
});

it('with --require-healthy etcd holds healthy containers only, and those without a HEALTHCHECK', async () => {
  await using _ = start('--require-healthy', `etcd://${etcd.address}/services`);
  await engine.run('-P', '--name', 'aa', 'slow');
  await engine.run('-P', '--name', 'bb', 'plain');
  const keys = async () => [...(await etcd.list('/services/')).keys()].sort();
  const both = ['/services/plain/node1:bb:80', '/services/slow/node1:aa:80'];
  await eventuallyPasses(async () => expect(await keys()).toEqual(['/services/plain/node1:bb:80']));
  await holds(async () => expect(await keys()).toEqual(['/services/plain/node1:bb:80']), 1_000);
  await engine.docker('exec', 'aa', 'touch', '/well');
  await eventuallyPasses(async () => expect(await keys()).toEqual(both));
  await engine.docker('exec', 'aa', 'rm', '/well');
  // The start period is over with the first success: one failure is enough now.
  await eventuallyPasses(async () => expect(await keys()).toEqual(['/services/plain/node1:bb:80']));
});
