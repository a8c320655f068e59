import { type ClientRequest, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from './engine.ts';
import { eventually } from './eventually.ts';
import { SimulatedDocker } from './simulated-docker.ts';

/** The simulated engine is right where it cannot be told from dockerd. */

let engine: DockerEngine;
let simulated: SimulatedDocker;
const streams: ClientRequest[] = [];

beforeAll(async () => {
  engine = await new DockerEngine().start();
  simulated = await new SimulatedDocker().up();
  await engine.importImage('web:1', { expose: [80, '53/udp'], healthcheck: '--interval=1h CMD true' });
  await engine.createNetwork('back');
});
afterAll(async () => {
  for (const stream of streams) stream.destroy();
  await simulated?.[Symbol.asyncDispose]();
  await engine?.dispose();
});

function get(socketPath: string, path: string): Promise<{ status: number | undefined; body: unknown }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
      resolve({ status: response.statusCode, body: JSON.parse(text) });
    });
    sent.once('error', reject).end();
  });
}

async function follow(socketPath: string): Promise<Record<string, unknown>[]> {
  const events: Record<string, unknown>[] = [];
  const filters = encodeURIComponent(JSON.stringify({ type: ['container', 'network'] }));
  await new Promise<void>((opened, failed) => {
    const sent = request({ socketPath, path: `/events?filters=${filters}`, agent: false }, (response) => {
      opened();
      let rest = '';
      response.on('error', () => {});
      response.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) events.push(JSON.parse(line));
      });
    });
    streams.push(sent);
    sent.once('error', failed).end();
  });
  return events;
}

/** Every path in a value with the type that is there, as `.State.Running: boolean`; those of maps under `*`. */
function shape(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => shape(item, `${path}[]`)))];
  if (value === null || typeof value !== 'object') return [`${path}: ${value === null ? 'null' : typeof value}`];
  return Object.entries(value).flatMap(([key, inner]) => shape(inner, `${path}.${key}`));
}

/** Where the two may differ: what no watcher reads, and what depends on the storage driver or on time. */
const FREE =
  /^\.(HostConfig|GraphDriver|State\.Health\.Log|Config\.(Env|Healthcheck|StopTimeout|Attach))|\.(DriverOpts|IPAMConfig|bridge\.Aliases)\b/;
const compared = (value: unknown) => [...new Set(shape(value).filter((line) => !FREE.test(line)))].sort();

const spec = {
  name: 'web',
  image: 'web:1',
  labels: { SERVICE_NAME: 'shop' },
  expose: ['53/udp'],
  publish: { '80/tcp': 0 },
  healthcheck: true,
};
const words = ['--name', 'web', '-l', 'SERVICE_NAME=shop', '-p', '80', 'web:1'];

describe('SimulatedDocker beside dockerd', () => {
  it('tells the same story of a container’s life', { timeout: 60_000 }, async () => {
    const real = await follow(engine.socket);
    const mock = await follow(simulated.socket);
    const same = async () => {
      for (const path of ['/containers/web/json', '/containers/json?all=1']) {
        const theirs = await get(engine.socket, path);
        const ours = await get(simulated.socket, path);
        expect(ours.status).toBe(theirs.status);
        expect(compared(ours.body)).toEqual(compared(theirs.body));
      }
    };
    await engine.docker('create', ...words);
    simulated.create(spec);
    await same();
    await engine.docker('start', 'web');
    simulated.start('web');
    await same();
    await engine.docker('pause', 'web');
    simulated.pause('web');
    await same();
    await engine.docker('unpause', 'web');
    simulated.unpause('web');
    await engine.docker('network', 'connect', 'back', 'web');
    simulated.connectNetwork('web', 'back');
    await same();
    await engine.docker('network', 'disconnect', 'bridge', 'web');
    simulated.disconnectNetwork('web', 'bridge');
    await engine.docker('network', 'connect', 'bridge', 'web');
    simulated.connectNetwork('web', 'bridge');
    await engine.docker('network', 'disconnect', 'back', 'web');
    simulated.disconnectNetwork('web', 'back');
    await same();
    await engine.docker('rename', 'web', 'shop');
    simulated.rename('web', 'shop');
    await engine.docker('rename', 'shop', 'web');
    simulated.rename('shop', 'web');
    await engine.docker('stop', 'web');
    simulated.stop('web');
    await same();
    await engine.docker('start', 'web');
    simulated.start('web');
    await engine.docker('kill', 'web');
    simulated.kill('web');
    await eventually(async () => (await engine.inspect('web')).State.Status === 'exited');
    await same();
    await engine.docker('rm', 'web');
    simulated.remove('web');
    expect((await get(simulated.socket, '/containers/web/json')).status).toBe(404);

    await eventually(() => real.at(-1)?.Action === 'destroy' && mock.at(-1)?.Action === 'destroy');
    const told = (events: readonly Record<string, unknown>[]) =>
      events
        .filter(({ Action }) => !/^(exec_|health_status)/.test(String(Action)))
        .map((event) => [event.Type, event.Action, compared(event)]);
    // dockerd says `disconnect` twice where it is asked to disconnect a running container.
    const once = (events: unknown[][]) =>
      events.filter((event, at) => event[1] !== 'disconnect' || events[at - 1]?.[1] !== 'disconnect');
    expect(once(told(mock))).toEqual(once(told(real)));
  });

  it.each(['host', 'none', 'back'])('shows a container on the network %s alike', async (network) => {
    await engine.run('--name', `on-${network}`, '--network', network, ...words.slice(2));
    simulated.run({ ...spec, name: `on-${network}`, network });
    const theirs = await get(engine.socket, `/containers/on-${network}/json`);
    const ours = await get(simulated.socket, `/containers/on-${network}/json`);
    expect(compared(ours.body)).toEqual(compared(theirs.body));
  });

  it('answers what is missing or wrong with the same status', async () => {
    for (const path of ['/containers/nothing/json', '/images/nothing/json', '/nothing', '/_ping/more']) {
      expect((await get(simulated.socket, path)).status, path).toBe((await get(engine.socket, path)).status);
    }
  });
});
