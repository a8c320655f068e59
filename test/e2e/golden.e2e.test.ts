import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostAddress } from '../../src/discovery/host-address.ts';
import { DockerEngine } from '../support/engine.ts';
import { importGoldenImages } from '../support/images.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';

/** What gliderlabs/registrator sent for each container of matrix.txt, by the flags it ran with: see golden/README.md. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  'default-ip': ['-ip', '10.9.8.7'],
  'no-ip': [],
  internal: ['-internal'],
  explicit: ['-ip', '10.9.8.7', '-explicit'],
  'ip-from-label': ['-ip', '10.9.8.7', '-useIpFromLabel', 'my.ip'],
  tags: [
    '-ip',
    '10.9.8.7',
    '-tags',
    'fleet,{{ .Config.Image | toUpper }},{{ strSlice .ID 0 0 }}{{ index .Config.Labels "my.ip" }}',
  ],
};

interface Registration {
  readonly ID: string;
  readonly Name: string;
  readonly Tags?: readonly string[];
  readonly Port: number;
  readonly Address?: string;
  readonly Meta?: Readonly<Record<string, string>>;
  readonly Check: Readonly<Record<string, unknown>> | null;
}

const file = (name: string) => readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8');

let engine: DockerEngine;
let redisImage: string;
/** Of each container, by name. */
const addresses = new Map<string, string>();
let host: string;

beforeAll(async () => {
  engine = await new DockerEngine().start();
  redisImage = (await importGoldenImages(engine))['redis:latest'];
  await engine.createNetwork('back', '--subnet', '172.30.7.0/24');
  for (const line of file('matrix.txt').trim().split('\n')) {
    const [, name = '', words = ''] = /^(\S+) \| (.*)$/.exec(line) ?? [];
    await engine.run('--name', name, ...shellWords(words.replace('$id', redisImage)));
    const { NetworkSettings } = await engine.inspect(name);
    addresses.set(name, NetworkSettings.IPAddress || NetworkSettings.Networks?.back?.IPAddress || '');
  }
  host = (await hostAddress('node1', 4)) ?? 'none';
}, 180_000);
afterAll(() => engine?.dispose());

describe.each(Object.entries(RUNS))('with the flags of golden/%s.json', (name, flags) => {
  it('sends to Consul what gliderlabs/registrator sent, but for the listed differences', async () => {
    await using consul = await new RecordingConsul().start();
    const args = [...flags, '--hostname', 'node1', '--log-format', 'json', `consul://${consul.address}`];
    await using registrator = new Registrator(args, { host: engine.host });
    const expected = (JSON.parse(file(`${name}.json`)) as { path: string; body: Registration }[]).map(
      ({ path, body }) => ({
        path,
        body: ours(name, body),
      }),
    );
    await registrator.waitForLog('looked at every container', { deadlineMs: 30_000 });
    await expect.poll(() => consul.puts.length, { timeout: 15_000 }).toBe(expected.length);
    const sent = consul.puts.map(({ path, body }) => ({ path, body: withoutMark(body as Registration) }));
    expect(sent.sort(byId)).toEqual(expected.sort(byId));
  });
});

/** golden/README.md's list of intended differences, applied to what gliderlabs/registrator sent. */
function ours(run: string, golden: Registration): Registration {
  const container = golden.ID.split(':')[1] ?? '';
  const twin = golden.ID === 'twins' ? `twins-${golden.Name.slice('nginx-'.length)}` : golden.ID;
  const address = ourAddress(run, golden, container);
  const port = container === 'two-bindings' && run !== 'internal' ? 10008 : golden.Port;
  const { '': _empty, ignore: _ignored, ...meta } = golden.Meta ?? {};
  return {
    ID: twin,
    Name: golden.Name === 'sha256' ? 'redis' : golden.Name,
    ...(golden.Tags ? { Tags: ourTags(run, golden.Tags) } : {}),
    Port: port,
    Address: address,
    ...(Object.keys(meta).length > 0 ? { Meta: meta } : {}),
    Check: golden.Check === null ? null : ourCheck(golden.Check, golden.Address ?? '', address),
  };
}

function ourAddress(run: string, golden: Registration, container: string): string {
  if (golden.Address === '0.0.0.0' || !golden.Address) return host;
  if (run === 'no-ip' && container === 'user-net') return host;
  if (run !== 'internal') return golden.Address;
  // Given out in start order, by a bridge of another network here.
  const named: Readonly<Record<string, string>> = {
    'https.12345': 'nginx-per-port',
    'redis-1': 'id-single',
    twins: 'id-two-ports',
  };
  return addresses.get(named[golden.ID] ?? container) ?? 'no such container';
}

/** Each part came out reversed there: the container's tags, then those of -tags; then udp. */
function ourTags(run: string, tags: readonly string[]): string[] {
  const udp = tags.at(-1) === 'udp' ? ['udp'] : [];
  const rest = tags.slice(0, tags.length - udp.length);
  const forced = run === 'tags' ? (rest[0] === '10.7.7.7/24' ? 3 : 2) : 0;
  const own = rest.slice(0, rest.length - forced);
  const image = (tag: string) => (tag.startsWith('SHA256:') ? redisImage.toUpperCase() : tag);
  return [
    ...own.reverse(),
    ...rest
      .slice(rest.length - forced)
      .reverse()
      .map(image),
    ...udp,
  ];
}

function ourCheck(check: Readonly<Record<string, unknown>>, from: string, to: string): Record<string, unknown> {
  const moved = JSON.parse(JSON.stringify(check).replaceAll(from, to)) as Record<string, unknown>;
  const { ScriptArgs, ...rest } = moved;
  return ScriptArgs === undefined ? rest : { ...rest, Args: ['sh', '-c', String(ScriptArgs)] };
}

function withoutMark({ Meta, ...rest }: Registration): Registration {
  const { 'registrator-host': host, 'registrator-engine': engineId, 'registrator-check': _check, ...meta } = Meta ?? {};
  expect(host).toBe('node1');
  expect(engineId).toMatch(/./);
  return Object.keys(meta).length === 0 ? rest : { ...rest, Meta: meta };
}

const byId = (a: { body: Registration }, b: { body: Registration }) => (a.body.ID < b.body.ID ? -1 : 1);

/** Words as matrix.txt quotes them: apart by spaces, single quotes around. */
function shellWords(text: string): string[] {
  return [...text.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ''));
}
