import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';
import { SshServer } from '../support/ssh.ts';

let engine: DockerEngine;
let server: SshServer;

beforeAll(async () => {
  engine = await new DockerEngine().start();
  await engine.importImage('redis:latest', { expose: [6379] });
  server = await new SshServer(engine.host).start();
});
afterAll(async () => {
  await server?.dispose();
  await engine?.dispose();
});

const host = () => `ssh://${userInfo().username}@127.0.0.1:${server.port}`;

async function start(env: Readonly<Record<string, string>>): Promise<{ registrator: Registrator; http: number }> {
  const http = await freePort();
  const registrator = new Registrator([`memory://127.0.0.1:${http}?dns=0`, '--ip', '10.1.2.3'], { host: host(), env });
  return { registrator, http };
}

describe('DOCKER_HOST=ssh://', () => {
  it('watches the engine behind an SSH server, and catches up after the server was away', async () => {
    const { registrator, http } = await start({ PATH: server.clientPath });
    await using _ = registrator;
    await registrator.waitForLog('looked at every container');
    expect(await server.connections()).toBeGreaterThan(0);
    const names = async () => (await fetch(`http://127.0.0.1:${http}/v1/catalog/services`)).text();
    await engine.run('-P', '--name', 'cache', 'redis');
    await eventuallyPasses(async () => expect(await names()).toContain('"redis"'));
    await server.kill9();
    await engine.docker('rm', '-f', 'cache');
    await registrator.waitForLog('Docker does not answer');
    await server.start();
    await registrator.waitForLog('Docker answers again');
    await eventuallyPasses(async () => expect(await names()).not.toContain('"redis"'));
    expect(await registrator.stop()).toBe(0);
    await eventuallyPasses(async () => expect(await server.connections()).toBe(0));
  });

  it('does for the commands that look once, too, which leave no ssh behind', async () => {
    await engine.run('-P', '--name', 'web', 'redis');
    const env = { PATH: server.clientPath };
    const { code, stdout } = await runRegistrator(['check', 'web', '--ip', '10.1.2.3'], { host: host(), env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/web +6379\/tcp +redis +10\.1\.2\.3:\d+/);
    await eventuallyPasses(async () => expect(await server.connections()).toBe(0));
    await engine.docker('rm', '-f', 'web');
  });

  it('takes the engine’s socket from the path, as Docker’s own command does', async () => {
    await using other = await new SshServer('unix:///nowhere.sock').start();
    await engine.run('-P', '--name', 'web', 'redis');
    const env = { PATH: other.clientPath };
    const address = `ssh://${userInfo().username}@127.0.0.1:${other.port}`;
    const check = (path: string) => runRegistrator(['check', 'web', '--ip', '10.1.2.3'], { host: address + path, env });
    expect((await check(engine.socket)).stdout).toContain('redis');
    expect((await check('')).stderr).toContain('/nowhere.sock');
    await engine.docker('rm', '-f', 'web');
  });

  it('does not speak to a server whose key is not the known one, and says so', async () => {
    server.trust(false);
    const { registrator } = await start({ PATH: server.clientPath });
    await using _ = registrator;
    const { err } = await registrator.waitForLog('Docker does not answer');
    expect(err).toBe('ssh to 127.0.0.1: Host key verification failed.');
    server.trust(true);
    await registrator.waitForLog('looked at every container');
  });

  it('says so where there is no ssh command', async () => {
    const { registrator } = await start({ PATH: '/nowhere' });
    await using _ = registrator;
    const { err } = await registrator.waitForLog('Docker does not answer');
    expect(err).toBe('ssh to 127.0.0.1: there is no ssh command here; install the OpenSSH client');
  });
});
