import { readFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../support/engine.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { idsOf, soon, start } from './support.ts';

/** All that registrator may ask Docker for, as docs/socket-proxy.md lists it. */
const ALLOWED = [
  'GET /_ping',
  'GET /containers/json',
  'GET /containers/{id}/json',
  'GET /events',
  'GET /images/{id}/json',
  'GET /info',
];
/** Asked for with --swarm only. */
const WITH_SWARM = ['GET /services/{id}'];

describe('what registrator asks Docker for', () => {
  it('is what docs/socket-proxy.md lists', async () => {
    const text = await readFile(new URL('../../docs/socket-proxy.md', import.meta.url), 'utf8');
    const listed = [...text.matchAll(/^\| `(GET [^`]+)`/gm)].map(([, call]) => call);
    expect(listed.sort()).toEqual([...ALLOWED, ...WITH_SWARM].sort());
  });

  it('is nothing else, in a life with all that it looks for (simulated engine)', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    await using registrator = start(docker.host, [
      '-resync',
      '1',
      '-deregister',
      'on-success',
      `consul://${consul.address}`,
    ]);
    const image = docker.addImage(['by-id:1']);
    docker.run({ name: 'aa', publish: { '80/tcp': 0 }, healthcheck: true });
    docker.run({ name: 'bb', publish: { '80/tcp': 0 }, image });
    docker.run({ name: 'cc', network: `container:${docker.inspect('aa').Id}`, labels: { SERVICE_80_NAME: 'cc' } });
    const ids = ['simulated:aa:80', 'simulated:bb:80', 'simulated:cc:80'];
    await soon(async () => expect(await idsOf(consul)).toEqual(ids));
    docker.health('aa', 'healthy');
    docker.pause('aa');
    docker.rename('bb', 'dd');
    docker.cutStreams();
    docker.die('cc', 1);
    docker.connectNetwork('dd', 'back');
    docker.remove('aa');
    await soon(async () => expect(await idsOf(consul)).toContain('simulated:dd:80'));
    await soon(() => expect(docker.requests.get('GET /containers/json')).toBeGreaterThan(3));
    expect([...docker.requests.keys()].sort()).toEqual(ALLOWED);
    expect(await registrator.stop()).toBe(0);
  });
});

describe('a real engine behind a socket proxy that allows only that', () => {
  let engine: DockerEngine;
  let proxy: Server;
  const asked = new Set<string>();
  const socket = () => join(engine.dir, 'proxy.sock');

  beforeAll(async () => {
    engine = await new DockerEngine().start();
    await engine.importImage('redis:latest', { expose: [6379] });
    proxy = createServer((incoming, outgoing) => {
      const { method = '', url = '' } = incoming;
      const path = url.replace(/\?.*$/, '').replace(/^\/v1\.\d+/, '');
      const call = `${method} ${path.replace(/^\/(containers|images)\/[^/]+\/json$/, '/$1/{id}/json')}`;
      asked.add(call);
      if (!ALLOWED.includes(call)) {
        outgoing.writeHead(403).end();
        return;
      }
      const { headers } = incoming;
      const forwarded = httpRequest({ socketPath: engine.socket, method, path: url, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        outgoing.flushHeaders();
        answer.pipe(outgoing);
      });
      forwarded.on('error', () => outgoing.destroy());
      outgoing.once('close', () => forwarded.destroy());
      forwarded.end();
    });
    await new Promise<void>((listening) => proxy.listen(socket(), listening));
  });
  afterAll(async () => {
    proxy.closeAllConnections();
    proxy.close();
    await engine.dispose();
  });

  it('registers, follows and removes', async () => {
    await using consul = await new RecordingConsul().start();
    await using registrator = start(`unix://${socket()}`, [
      '--hostname',
      'n',
      '-resync',
      '1',
      `consul://${consul.address}`,
    ]);
    await engine.run('-P', '--name', 'aa', 'redis');
    const id = (await engine.inspect('aa')).Image;
    await engine.run('-P', '--name', 'bb', id);
    await soon(async () => expect(await idsOf(consul)).toEqual(['n:aa:6379', 'n:bb:6379']));
    expect(consul.services.get('n:bb:6379')).toMatchObject({ Name: 'redis' });
    await engine.docker('rm', '-f', 'aa');
    await soon(async () => expect(await idsOf(consul)).toEqual(['n:bb:6379']));
    expect([...asked].sort()).toEqual(ALLOWED);
    expect(await registrator.stop()).toBe(0);
  });
});
