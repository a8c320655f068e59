import { existsSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DockerHost, DockerWatcher, dockerConnection } from '../../src/docker/index.ts';
import { createLogger } from '../../src/lib/log/index.ts';

import { eventually, eventuallyPasses, holds } from './eventually.ts';
import { SimulatedDocker } from './simulated-docker.ts';
import { SimulatedDockerProcess } from './simulated-docker-process.ts';
import { storm } from './simulated-storm.ts';

let docker: SimulatedDocker;
const open: ClientRequest[] = [];

beforeEach(async () => {
  docker = await new SimulatedDocker({ seed: 7 }).up();
});
afterEach(async () => {
  for (const call of open.splice(0)) call.destroy();
  await docker[Symbol.asyncDispose]();
});

function call(path: string, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: docker.socket, path, method, agent: false }, resolve);
    open.push(sent);
    sent.once('error', reject).end();
  });
}

async function get(path: string, method = 'GET') {
  const response = await call(path, method);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, text, body: text.startsWith('O') || text === '' ? text : JSON.parse(text) };
}

/** Events as they come: `<action> <container's name>`, or `connect <network>`. */
async function follow(query = '') {
  const response = await call(`/events${query}`);
  const events: string[] = [];
  let ended = false;
  let rest = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const { Action, Actor } = JSON.parse(line);
      events.push(`${Action} ${Actor.Attributes.name}`);
    }
  });
  response.once('close', () => {
    ended = true;
  });
  response.on('error', () => {});
  return {
    events,
    get ended() {
      return ended;
    },
  };
}

describe("SimulatedDocker's API", () => {
  it('answers a ping, its version and its name', async () => {
    expect((await get('/_ping')).body).toBe('OK');
    expect((await get('/v1.41/version')).body.ApiVersion).toBe('1.41');
    expect((await get('/info')).body.Name).toBe('simulated');
  });

  it('lists running containers, and with all=1 the others', async () => {
    const web = docker.run({ name: 'web', publish: { '80/tcp': 8080 } });
    docker.create({ name: 'idle' });
    const names = async (path: string) => (await get(path)).body.map((entry: { Names: string[] }) => entry.Names[0]);
    expect(await names('/containers/json')).toEqual(['/web']);
    expect(await names('/containers/json?all=0')).toEqual(['/web']);
    expect(await names('/containers/json?all=1')).toEqual(['/idle', '/web']);
    docker.pause(web);
    const [listed] = (await get('/containers/json')).body;
    expect(listed).toMatchObject({ Id: web, State: 'paused', Status: 'Up Less than a second (Paused)' });
    expect(listed.Ports).toContainEqual({ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' });
  });

  it('inspects by ID, short ID and name', async () => {
    const id = docker.run({ name: 'web', publish: { '80/tcp': 0 }, labels: { SERVICE_NAME: 'shop' } });
    for (const ref of [id, id.slice(0, 12), 'web']) {
      const { body } = await get(`/containers/${ref}/json`);
      expect(body).toMatchObject({
        Id: id,
        Name: '/web',
        State: { Running: true },
        Config: { Labels: { SERVICE_NAME: 'shop' } },
      });
      expect(body.NetworkSettings.Ports['80/tcp'][0].HostPort).toMatch(/^3\d{4}$/);
    }
    expect(await get('/containers/nothing/json')).toMatchObject({
      status: 404,
      body: { message: 'No such container: nothing' },
    });
  });

  it('shows every change in the next inspection', async () => {
    const id = docker.run({ name: 'web', publish: { '80/tcp': 8080 }, healthcheck: true });
    const state = async () => (await get(`/containers/${id}/json`)).body;
    expect((await state()).State.Health.Status).toBe('starting');
    docker.health(id, 'healthy');
    expect((await state()).State.Health.Status).toBe('healthy');
    docker.rename(id, 'shop');
    expect((await state()).Name).toBe('/shop');
    docker.connectNetwork(id, 'back');
    expect((await state()).NetworkSettings.Networks.back.IPAddress).toMatch(/^172\./);
    docker.crash(id, 3);
    expect((await state()).State).toMatchObject({ Status: 'restarting', Running: true, Restarting: true, ExitCode: 3 });
    docker.start(id);
    docker.stop(id, 5);
    expect(await state()).toMatchObject({ State: { Status: 'exited', ExitCode: 5 }, NetworkSettings: { Ports: {} } });
    docker.remove(id);
    expect((await get(`/containers/${id}/json`)).status).toBe(404);
  });

  it("gives an image's names", async () => {
    const image = docker.addImage(['redis:7', 'cache:latest']);
    docker.run({ name: 'web', image });
    expect((await get('/containers/web/json')).body.Config.Image).toBe(image);
    expect((await get(`/images/${image}/json`)).body.RepoTags).toEqual(['redis:7', 'cache:latest']);
    expect((await get('/images/none/json')).status).toBe(404);
  });

  it('answers 404 to every other call, and counts each by its route', async () => {
    const id = docker.run();
    await get(`/containers/${id}/json`);
    await get(`/v1.41/containers/${id}/json`);
    expect((await get(`/containers/${id}/stop`, 'POST')).status).toBe(404);
    expect((await get('/containers/json', 'POST')).status).toBe(404);
    expect([...docker.requests]).toEqual([
      ['GET /containers/{id}/json', 2],
      [`POST /containers/${id}/stop`, 1],
      ['POST /containers/json', 1],
    ]);
    expect(docker.inspections.get(id)).toBe(2);
  });
});

describe("SimulatedDocker's events", () => {
  it('come as dockerd sends them, those asked for only', async () => {
    const all = await follow();
    const starts = await follow(`?filters=${encodeURIComponent('{"event":{"start":true,"health_status":true}}')}`);
    const id = docker.run({ name: 'web', healthcheck: true });
    docker.health(id, 'healthy');
    docker.pause(id);
    docker.stop(id);
    docker.remove(id);
    await eventuallyPasses(() =>
      expect(all.events).toEqual([
        ...['create web', 'connect bridge', 'start web', 'health_status: healthy web', 'pause web'],
        ...['kill web', 'die web', 'disconnect bridge', 'stop web', 'destroy web'],
      ]),
    );
    expect(starts.events).toEqual(['start web', 'health_status: healthy web']);
    expect((await get('/events?filters=%7B%22colour%22:%5B%5D%7D')).status).toBe(400);
  });

  it('are replayed from `since` on, the last 256 of them', async () => {
    const before = await follow('?since=0');
    const id = docker.run({ name: 'first' });
    await eventually(() => before.events.length === 3);
    for (let round = 0; round < 150; round++) {
      docker.pause(id);
      docker.unpause(id);
    }
    const replay = await follow('?since=0');
    await eventually(() => replay.events.length > 0);
    expect(replay.events).toHaveLength(256);
    expect((await follow(`?since=${Math.floor(Date.now() / 1000) + 60}`)).events).toEqual([]);
    expect((await get('/events?since=yesterday')).status).toBe(400);
  });

  it('can be dropped, doubled, delayed and reordered, the same way for the same seed', async () => {
    const run = async (seed: number) => {
      await docker[Symbol.asyncDispose]();
      docker = await new SimulatedDocker({ seed }).up();
      const { events } = await follow();
      docker.eventFaults = { drop: 0.3, double: 0.3, reorder: 0.3 };
      for (let n = 0; n < 20; n++) docker.run({ name: `c${n}` });
      docker.eventFaults = {};
      docker.run({ name: 'last' });
      await eventually(() => events.includes('start last'));
      return events;
    };
    const once = await run(42);
    expect(await run(42)).toEqual(once);
    expect(await run(43)).not.toEqual(once);
    const late = await follow();
    docker.eventFaults = { drop: ({ action }) => action !== 'start', delay: 60 };
    docker.run({ name: 'late' });
    await holds(() => expect(late.events).toEqual([]), 30, 10);
    await eventuallyPasses(() => expect(late.events).toEqual(['start late']));
  });

  it('stop when the stream is cut', async () => {
    const broken = await follow();
    docker.cutStreams();
    await eventually(() => broken.ended);
    expect(docker.streams).toBe(0);
  });
});

describe("SimulatedDocker's faults", () => {
  it('down: refuses connections until it is up again', async () => {
    const id = docker.run();
    await docker.down();
    expect(existsSync(docker.socket)).toBe(false);
    await expect(get('/_ping')).rejects.toThrow('ENOENT');
    await docker.up();
    expect((await get(`/containers/${id}/json`)).status).toBe(200);
  });

  it('stall: takes connections and says nothing until it resumes', async () => {
    const stream = await follow();
    docker.stall();
    let answered = false;
    const ping = get('/_ping').then(() => {
      answered = true;
    });
    docker.run({ name: 'web' });
    await holds(() => expect([answered, stream.events]).toEqual([false, []]), 60, 20);
    docker.resume();
    await ping;
    await eventually(() => stream.events.includes('start web'));
  });

  it('inspections fail, hang or are slow for the containers that are told', async () => {
    const [a, b, c] = [docker.run(), docker.run(), docker.run()];
    docker.inspectFault = (id) =>
      id === a ? { kind: 'error' } : id === b ? { kind: 'hang' } : { kind: 'slow', delayMs: 50 };
    expect((await get(`/containers/${a}/json`)).status).toBe(500);
    let answered = false;
    call(`/containers/${b}/json`).then(
      () => {
        answered = true;
      },
      () => {},
    );
    const started = performance.now();
    expect((await get(`/containers/${c}/json`)).status).toBe(200);
    expect(performance.now() - started).toBeGreaterThan(45);
    expect(answered).toBe(false);
  });

  it('is watched by the real watcher, over TCP too', async () => {
    await using tcp = await new SimulatedDocker({ listen: 'tcp' }).up();
    const id = tcp.run({ name: 'web' });
    const host = new DockerHost(dockerConnection({ DOCKER_HOST: tcp.host }));
    const seen: string[] = [];
    const watcher = new DockerWatcher(
      host,
      { all: false, resyncMs: 0 },
      {
        onEvent: ({ action, containerId }) => seen.push(`${action} ${containerId === id}`),
        onListing: (listing) => seen.push(...listing.map(({ name, state }) => `${name} ${state}`)),
      },
      await createLogger('error', 'json'),
    );
    const stop = new AbortController();
    const ended = watcher.run(stop.signal);
    await eventually(() => seen.includes('web running'));
    tcp.pause(id);
    await eventually(() => seen.includes('pause true'));
    expect((await host.inspect(id, stop.signal))?.State.Paused).toBe(true);
    stop.abort();
    await ended;
    host.close();
  });

  it('lists the same fingerprint for a container that did not change', async () => {
    docker.run({ name: 'web', publish: { '80/tcp': 0, '443/tcp': 0, '53/udp': 0 }, healthcheck: true });
    const host = new DockerHost(dockerConnection({ DOCKER_HOST: docker.host }));
    const signal = AbortSignal.timeout(5_000);
    const fingerprints = [];
    for (let n = 0; n < 4; n++) fingerprints.push((await host.list(true, signal))[0]?.fingerprint);
    expect(new Set(fingerprints).size).toBe(1);
    docker.health('web', 'healthy');
    expect((await host.list(true, signal))[0]?.fingerprint).not.toBe(fingerprints[0]);
    host.close();
  });
});

describe('SimulatedDocker in quantity', () => {
  it('holds 10,000 containers with two ports each within seconds', async () => {
    const started = performance.now();
    docker.fill(10_000, { ports: 2 });
    const { body } = await get('/containers/json');
    expect(body).toHaveLength(10_000);
    expect(Object.keys(docker.inspect('app-10000').NetworkSettings.Ports ?? {})).toEqual(['8000/tcp', '8001/tcp']);
    expect(performance.now() - started).toBeLessThan(8_000);
  });

  it('runs every container again after a storm', async () => {
    const ids = docker.fill(50);
    const { actions } = await storm(docker, ids, { perSecond: 2_000, seconds: 0.2 });
    expect(actions).toBeGreaterThanOrEqual(400);
    expect(ids.every((id) => docker.inspect(id).State.Running)).toBe(true);
  });

  it('does the same in a process of its own', async () => {
    await using apart = await new SimulatedDockerProcess().start();
    const id = await apart.call('run', { name: 'web' });
    const host = new DockerHost(dockerConnection({ DOCKER_HOST: apart.host }));
    expect((await host.inspect('web', AbortSignal.timeout(5_000)))?.Id).toBe(id);
    host.close();
    expect([...(await apart.requests())]).toEqual([
      ['GET /_ping', 1],
      ['GET /containers/{id}/json', 1],
    ]);
    expect(await apart.inspections()).toEqual([1]);
    await expect(apart.call('stop', 'nothing')).rejects.toThrow('No such container: nothing');
  });
});
