import { afterAll, beforeAll, expect, it } from 'vitest';
import { DockerEngine } from '../../support/engine.ts';
import { freePort } from '../../support/ports.ts';
import { type LogLine, Registrator, runRegistrator } from '../../support/registrator.ts';
import { type RegistryPlace, RegistryServers } from '../../support/registry-places.ts';

let engine: DockerEngine;
let servers: RegistryServers;
beforeAll(async () => {
  [engine, servers] = await Promise.all([new DockerEngine().start(), new RegistryServers().start()]);
  await engine.importImage('redis', { expose: [6379] });
});
afterAll(async () => {
  await servers?.dispose();
  await engine?.dispose();
});

it('ls and cleanup tell stale from registered entries, and remove only those, in every registry', async () => {
  const host = ['-ip', '10.9.8.7', '--hostname', 'node1'];
  const [kept, gone] = [await freePort(), await freePort()];
  await engine.run('-p', `${kept}:6379`, '--name', 'cache', 'redis');
  await engine.run('-p', `${gone}:6379`, '--name', 'gone', 'redis');
  // As after a crash: what they wrote stays.
  const crash = async (registry: RegistryPlace) => {
    const registrator = new Registrator([...host, registry.uri('commands')], { host: engine.host, env: registry.env });
    for (const container of ['cache', 'gone']) {
      const registered = (line: LogLine) => line.msg === 'registered' && line.container === container;
      await registrator.waitForLog(registered, { deadlineMs: 30_000 });
    }
    return () => registrator.stop('SIGKILL');
  };
  const kills = await Promise.all(servers.places.map(crash));
  await Promise.all(kills.map((kill) => kill()));
  await engine.docker('rm', '-f', 'gone');

  const cleanUp = async (registry: RegistryPlace) => {
    const uri = registry.uri('commands');
    const command = (...args: string[]) =>
      runRegistrator([...args, ...host, uri], { host: engine.host, env: registry.env });
    const states = async () => {
      const { code, stdout, stderr } = await command('ls', '--json');
      expect([code, stderr], uri).toEqual([0, '']);
      const entries: { state: string; port: number }[] = JSON.parse(stdout).registries[0].entries;
      return entries.map(({ state, port }) => `${port} ${state}`).sort();
    };
    expect(await states(), uri).toEqual([`${kept} registered`, `${gone} stale`].sort());
    expect((await command('cleanup')).code, uri).toBe(0);
    expect(await states(), uri).toEqual([`${kept} registered`]);
  };
  // What ZooKeeper holds ends some time after its writer: it comes first.
  const places = servers.places.toSorted((a, b) => Number(b.name.startsWith('zoo')) - Number(a.name.startsWith('zoo')));
  for (const place of places) await cleanUp(place);
}, 180_000);
