import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { DockerHost, dockerConnection } from '../../src/docker/index.ts';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

/** What may answer with status 200 in the place of Docker or a registry: a proxy's page, another service, nothing. */
const BODIES = [
  '',
  'null',
  'true',
  '7',
  '"text"',
  '[]',
  '[null]',
  '{}',
  '{"a":null}',
  '<html>sign in</html>',
  '{"half":',
];

/** Answers every request with this. */
class OddServer implements AsyncDisposable {
  body: string;
  readonly #server: Server;

  constructor(body: string) {
    this.body = body;
    this.#server = createServer((_, response) => response.end(this.body));
  }

  async start(): Promise<this> {
    await new Promise<void>((listening) => this.#server.listen(0, '127.0.0.1', listening));
    return this;
  }
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

describe('an odd answer in Docker’s place', () => {
  it.each(BODIES)('%j is an error, and no container', async (body) => {
    const { signal } = new AbortController();
    await using server = await new OddServer(body).start();
    const docker = new DockerHost(dockerConnection({ DOCKER_HOST: `tcp://${server.address}` }));
    await expect(docker.inspect('abc', signal)).rejects.toThrow("this is no answer of Docker's");
    if (body !== '[]') await expect(docker.list(false, signal)).rejects.toThrow("this is no answer of Docker's");
    else expect(await docker.list(false, signal)).toEqual([]);
    if (!body.startsWith('{') || body === '{"half":')
      await expect(docker.info(signal)).rejects.toThrow("this is no answer of Docker's");
    docker.close();
  });

  it('is waited out at the start', async () => {
    await using odd = await new OddServer('null').start();
    await using consul = await new RecordingConsul().start();
    const host = `tcp://${odd.address}`;
    await using registrator = new Registrator(['--ip', '10.9.8.7', `consul://${consul.address}`], { host });
    await registrator.waitForLog('Docker does not answer; trying again');
    odd.body = '{"Name":"odd"}';
    await registrator.waitForLog('Docker does not answer; what is registered stays');
    expect(registrator.running).toBe(true);
    expect(await registrator.stop()).toBe(0);
  });

  it('to a look at a container leaves its services as they are', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    await using _ = new Registrator(['--ip', '10.9.8.7', `consul://${consul.address}`], { host: docker.host });
    docker.run({ name: 'cache', publish: { '6379/tcp': 0 } });
    await eventuallyPasses(() => expect([...consul.services.keys()]).toEqual(['simulated:cache:6379']));
    for (const body of BODIES) {
      docker.inspectFault = () => ({ kind: 'answer', body });
      docker.rename('cache', 'other');
      docker.rename('other', 'cache');
      await holds(() => expect([...consul.services.keys()], body).toEqual(['simulated:cache:6379']), 150);
    }
    docker.stop('cache');
    docker.inspectFault = () => undefined;
    await eventuallyPasses(() => expect(consul.services.size).toBe(0));
  });
});

describe.concurrent('an odd answer in the place of every registry', () => {
  it.each(BODIES)('%j ends nothing, and delays no other registry', async (body) => {
    await using docker = await new SimulatedDocker().up();
    docker.run({ name: 'cache', publish: { '6379/tcp': 0 } });
    await using odd = await new OddServer(body).start();
    const schemes = ['consul', 'consulkv', 'etcd', 'etcd-legacy', 'skydns2', 'coredns'];
    const uris = schemes.map((scheme) => `${scheme}://${odd.address}/path`);
    await using well = await new RecordingConsul().start();
    const args = ['--ip', '10.9.8.7', '--ttl', '30', '--resync', '1', ...uris, `consul://${well.address}`];
    await using registrator = new Registrator(args, { host: docker.host });
    await eventuallyPasses(() => expect([...well.services.keys()]).toEqual(['simulated:cache:6379']));
    await holds(() => expect(registrator.running).toBe(true), 1_500);
    docker.stop('cache');
    await eventuallyPasses(() => expect(well.services.size).toBe(0));
    expect(registrator.stdout).not.toMatch(/"level":"(error|fatal)"/);
    expect(await registrator.stop()).toBe(0);
  });
});
