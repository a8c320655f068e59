import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logged, soon, start } from '../faults/support.ts';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { holds } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import type { LogLine, Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { ZooKeeperServer } from '../support/zookeeper.ts';
import { ZooKeeperClient } from '../support/zookeeper-client.ts';

let consul: ConsulServer;
let etcd: EtcdServer;
let zooKeeper: ZooKeeperServer;
let client: ZooKeeperClient;
beforeAll(async () => {
  [consul, etcd, zooKeeper] = await Promise.all([
    new ConsulServer().start(),
    new EtcdServer().start(),
    new ZooKeeperServer().start(),
  ]);
  client = await new ZooKeeperClient(zooKeeper.address).connect();
});
afterAll(async () => {
  client?.close();
  await Promise.all([consul, etcd, zooKeeper].map((server) => server?.dispose()));
});

const agent = () => consul.api<Record<string, { Port: number }>>('GET', '/v1/agent/services');
const byId = (id: string) => consul.api<{ ContentHash: string; Port: number }>('GET', `/v1/agent/service/${id}`);
const idsWith = async (part: string) =>
  Object.keys(await agent())
    .filter((id) => id.includes(part))
    .sort();
const kv = async (prefix: string) =>
  consul
    .api<{ Key: string; Value: string; Flags: number; ModifyIndex: number }[]>('GET', `/v1/kv/${prefix}?recurse=true`)
    .catch(() => []);
const lines = ({ lines }: Registrator, level: string, words: RegExp) =>
  lines.filter((line: LogLine) => line.level === level && words.test(line.msg ?? ''));
const conflicts = (registrator: Registrator) => lines(registrator, 'error', /is in conflict: /);

describe.concurrent("somebody else's entry at the ID that a container asks for", () => {
  it('Consul: stays as it is, is told of once, and is taken within a resync once the way is free', async () => {
    await consul.api('PUT', '/v1/agent/service/register', {
      ID: 'mine',
      Name: 'operators',
      Port: 1,
      Meta: { by: 'hand' },
    });
    const before = await byId('mine');
    await using docker = await new SimulatedDocker({ hostname: 'm1' }).up();
    docker.run({ name: 'web', image: 'team/web:1.0', publish: { '80/tcp': 20_080 }, labels: { SERVICE_ID: 'mine' } });
    const http = `127.0.0.1:${await freePort()}`;
    await using one = start(docker.host, ['-resync', '1', '--http', http, `consul://${consul.address}`]);
    await soon(() => expect(conflicts(one)).toHaveLength(1));
    expect(conflicts(one)[0]).toMatchObject({ container: 'web', id: 'mine', service: 'web' });
    expect(conflicts(one)[0]?.msg).toBe(
      'the service web of container web is in conflict: The ID mine in Consul is held by somebody without a mark of registrator (an operator, an application), and stays as it is. It waits, and is registered within a resync once the way is free: give the container another SERVICE_ID, or remove the other entry',
    );
    const metrics = async () => (await fetch(`http://${http}/metrics`)).text();
    await soon(async () => expect(await metrics()).toMatch(/registrator_conflicts\{registry="[^"]+"\} 1/));
    await holds(async () => expect(await byId('mine')).toEqual(before), 2_500);
    expect(conflicts(one)).toHaveLength(1);

    await consul.api('PUT', '/v1/agent/service/deregister/mine');
    await soon(async () => expect((await byId('mine')).Port).toBe(20_080));
    await soon(async () => expect(await metrics()).toMatch(/registrator_conflicts\{registry="[^"]+"\} 0/));
    expect(one.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('Consul: also where it came between two resyncs, and when the container stops', async () => {
    await using docker = await new SimulatedDocker({ hostname: 'm2' }).up();
    await using one = start(docker.host, ['-resync', '3600', `consul://${consul.address}`]);
    await logged(one, 'looked at every container');
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'late', Name: 'operators', Port: 2 });
    const before = await byId('late');
    const id = docker.run({
      name: 'web',
      image: 'team/web:1.0',
      publish: { '80/tcp': 0 },
      labels: { SERVICE_ID: 'late' },
    });
    await soon(() => expect(conflicts(one)).toHaveLength(1));
    docker.remove(id);
    await holds(async () => expect(await byId('late')).toEqual(before), 1_500);

    // One that took the place of ours, since we read it.
    const taken = docker.run({
      name: 'x',
      image: 'team/web:1.0',
      publish: { '80/tcp': 20_081 },
      labels: { SERVICE_ID: 'taken' },
    });
    await soon(async () => expect((await byId('taken')).Port).toBe(20_081));
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'taken', Name: 'operators', Port: 3 });
    const theirs = await byId('taken');
    docker.remove(taken);
    await logged(one, (line) => line.msg?.startsWith('not deregistered: The ID taken in Consul is held by') ?? false);
    expect(await byId('taken')).toEqual(theirs);
    expect(lines(one, 'info', /^deregistered$/)).toEqual([]);
  });

  it.each([
    ['consulkv', () => consul.address, 'kv'],
    ['etcd', () => etcd.address, 'etcd'],
  ])('%s: byte for byte, and adopted where it says what we would write', async (scheme, address, place) => {
    const put = (key: string, value: string) =>
      scheme === 'etcd'
        ? etcd.ctl('put', `/${key}`, value)
        : consul.api('PUT', `/v1/kv/${key}`, value).catch(() => undefined);
    const raw = async () =>
      scheme === 'etcd'
        ? new Map([...(await etcd.list(`/${place}/`))].map(([key, value]) => [key.slice(1), value]))
        : new Map((await kv(`${place}/`)).map(({ Key, Value }) => [Key, Buffer.from(Value, 'base64').toString()]));
    if (scheme === 'etcd') await put(`${place}/web/foreign`, '10.0.0.1:1');
    else
      await fetch(`http://${consul.address}/v1/kv/${place}/web/foreign?flags=42`, {
        method: 'PUT',
        body: '10.0.0.1:1',
      });
    if (scheme === 'etcd') await put(`${place}/web/old`, '10.9.8.7:20082');
    else await fetch(`http://${consul.address}/v1/kv/${place}/web/old`, { method: 'PUT', body: '10.9.8.7:20082' });
    const stamp = async () =>
      scheme === 'etcd'
        ? (await raw()).get(`${place}/web/foreign`)
        : JSON.stringify((await kv(`${place}/web/foreign`))[0]);
    const before = await stamp();
    await using docker = await new SimulatedDocker({ hostname: `m3${scheme}` }).up();
    docker.run({ name: 'a', image: 'team/web:1.0', publish: { '80/tcp': 0 }, labels: { SERVICE_ID: 'foreign' } });
    const old = docker.run({
      name: 'b',
      image: 'team/web:1.0',
      publish: { '80/tcp': 20_082 },
      labels: { SERVICE_ID: 'old' },
    });
    await using one = start(docker.host, ['-resync', '1', `${scheme}://${address()}/${place}`]);
    await soon(() => expect(conflicts(one)).toHaveLength(1));
    await holds(async () => expect(await stamp()).toBe(before), 1_500);
    docker.remove(old);
    await soon(async () => expect([...(await raw()).keys()]).toEqual([`${place}/web/foreign`]));
    expect(await stamp()).toBe(before);
  });

  it('ZooKeeper: a node without a mark, ephemeral or not, and one that cannot be read', async () => {
    const node = (port: number) => JSON.stringify({ Name: 'web', IP: '10.9.8.7', PublicPort: port, Attrs: {} });
    for (const path of ['/z', '/z/web']) await client.create(path, '', 'PERSISTENT');
    await client.create('/z/web/10.9.8.7:20091', node(20_091), 'EPHEMERAL');
    await client.create('/z/web/10.9.8.7:20092', 'by hand', 'PERSISTENT');
    await client.create('/z/web/10.9.8.7:20093', node(20_093), 'EPHEMERAL');
    const all = () => Promise.all([1, 2, 3].map((n) => client.read(`/z/web/10.9.8.7:2009${n}`)));
    const before = await all();
    await using docker = await new SimulatedDocker({ hostname: 'm4' }).up();
    const ids = [20_091, 20_092].map((port) =>
      docker.run({ name: `w${port}`, image: 'team/web:1.0', publish: { '80/tcp': port } }),
    );
    await using one = start(docker.host, ['-resync', '1', `zookeeper://${zooKeeper.address}/z`]);
    await soon(() => expect(conflicts(one)).toHaveLength(2));
    for (const id of ids) docker.remove(id);
    await holds(async () => expect(await all()).toEqual(before), 2_500);
  });
});

describe.concurrent('two machines of one engine ID, as cloned ones are', () => {
  it.each([
    ['consul', () => `consul://${consul.address}`, () => idsWith('clone')],
    ['consulkv', () => `consulkv://${consul.address}/c`, async () => (await kv('c/')).map(({ Key }) => Key.slice(6))],
    [
      'etcd',
      () => `etcd://${etcd.address}/c`,
      async () => [...(await etcd.list('/c/')).keys()].map((key) => key.slice(7)),
    ],
    [
      'coredns',
      () => `coredns://${etcd.address}/c.example`,
      async () => [...(await etcd.list('/skydns/example/c/')).keys()],
    ],
    [
      'zookeeper',
      () => `zookeeper://${zooKeeper.address}/c`,
      async () => (await client.children('/c/web').catch(() => [])) ?? [],
    ],
  ])('%s: neither touches what is of the other', async (_, uri, held) => {
    const dockers = await Promise.all(['one', 'one'].map((hostname) => new SimulatedDocker({ hostname }).up()));
    try {
      for (const [n, docker] of dockers.entries()) {
        const port = 20_100 + n;
        docker.run({ name: 'web', image: 'team/web:1.0', publish: { '80/tcp': port } });
        docker.run({
          name: 'x',
          image: 'team/web:1.0',
          publish: { '80/tcp': port + 10 },
          labels: { SERVICE_ID: `clone-x${n}` },
        });
      }
      const words = (n: number) => ['-resync', '1', '--hostname', `clone${n}`, '--ip', `10.9.7.${n}`, uri()];
      const [first, second] = dockers;
      await using a = start(first?.host ?? '', words(0));
      await soon(async () => expect(await held()).toHaveLength(2));
      await using b = start(second?.host ?? '', words(1));
      await soon(async () => expect(await held()).toHaveLength(4));
      const all = [...(await held())].sort();
      await holds(async () => expect([...(await held())].sort()).toEqual(all), 3_000);
      await using again = start(first?.host ?? '', words(0));
      await logged(again, 'looked at every container');
      await holds(async () => expect([...(await held())].sort()).toEqual(all), 1_500);
      const warnings = lines(again, 'warn', /bear the ID of this host's Docker engine/);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]?.msg).toContain(`registrator cleanup --hostname clone1 `);
      await Promise.all([a, b, again].map((one) => one.stop()));
    } finally {
      for (const docker of dockers) await docker[Symbol.asyncDispose]();
    }
  });
});

it('two registrators with one host name: what comes back twice is left alone, and one warning says what to do', async () => {
  const dockers = await Promise.all(['e1', 'e2'].map((hostname) => new SimulatedDocker({ hostname }).up()));
  try {
    for (const [n, docker] of dockers.entries())
      docker.run({ name: `web${n}`, image: 'team/web:1.0', publish: { '80/tcp': 20_200 + n } });
    const words = ['-resync', '1', '--hostname', 'samename', `consul://${consul.address}`];
    await using a = start(dockers[0]?.host ?? '', words);
    await using b = start(dockers[1]?.host ?? '', words);
    const both = ['samename:web0:80', 'samename:web1:80'];
    const said = /^what was removed as stale came back twice: .* Give each registrator its own --hostname$/;
    await soon(() => expect([a, b].flatMap((one) => lines(one, 'warn', said)).length).toBeGreaterThan(0));
    await soon(async () => expect(await idsWith('samename')).toEqual(both));
    await soon(() => holds(async () => expect(await idsWith('samename')).toEqual(both), 4_000));
    for (const one of [a, b]) expect(lines(one, 'warn', said).length).toBeLessThanOrEqual(1);
  } finally {
    for (const docker of dockers) await docker[Symbol.asyncDispose]();
  }
});

it('etcd: an entry whose claim was lost is claimed anew, and goes with its container', async () => {
  await using docker = await new SimulatedDocker({ hostname: 'm6' }).up();
  const run = (name: string) =>
    docker.run({ name, image: 'team/web:1.0', publish: { '80/tcp': 0 }, labels: { SERVICE_ID: `own-${name}` } });
  const [one, two] = [run('a'), run('b')];
  await using registrator = start(docker.host, ['-resync', '3600', `etcd://${etcd.address}/lost`]);
  const keys = async () => [...(await etcd.list('/lost/')).keys()];
  const claims = async () => [...(await etcd.list('/_registrator/%2Flost')).keys()];
  await soon(async () => expect(await keys()).toEqual(['/lost/web/own-a', '/lost/web/own-b']));
  await etcd.ctl('del', '--prefix', '/_registrator/%2Flost');
  docker.remove(one);
  await soon(async () => expect(await keys()).toEqual(['/lost/web/own-b']));
  expect(lines(registrator, 'info', /^deregistered$/)).toHaveLength(1);
  await using next = start(docker.host, ['-resync', '1', `etcd://${etcd.address}/lost`]);
  await soon(async () => expect(await claims()).toEqual(['/_registrator/%2Flost%2Fweb%2Fown-b']));
  docker.remove(two);
  await soon(async () => expect([...(await keys()), ...(await claims())]).toEqual([]));
  expect(lines(next, 'error', /./)).toEqual([]);
});

it('Consul: an operator’s maintenance mode and attached checks stay, over resyncs, new labels, pauses and restarts', async () => {
  await using docker = await new SimulatedDocker({ hostname: 'm7' }).up();
  const run = (labels: Record<string, string>) =>
    docker.run({ name: 'web', image: 'team/web:1.0', publish: { '80/tcp': 20_300 }, labels });
  let container = run({ SERVICE_CHECK_TCP: 'true' });
  const words = ['-resync', '1', `consul://${consul.address}`];
  const id = 'm7:web:80';
  const checks = async () =>
    Object.values(
      await consul.api<Record<string, { CheckID: string; ServiceID: string; Notes: string }>>(
        'GET',
        '/v1/agent/checks',
      ),
    )
      .filter(({ ServiceID }) => ServiceID === id)
      .map(({ CheckID, Notes }) => `${CheckID} ${Notes}`.trim())
      .sort();
  const ours = `service:${id}`;
  const theirs = [`_service_maintenance:${id} for a while`, 'attached'];
  {
    await using first = start(docker.host, words);
    await soon(async () => expect(await checks()).toEqual([ours]));
    await consul.api('PUT', `/v1/agent/service/maintenance/${id}?enable=true&reason=for+a+while`);
    await consul.api('PUT', '/v1/agent/check/register', { ID: 'attached', Name: 'a', ServiceID: id, TTL: '1h' });
    await holds(async () => expect(await checks()).toEqual([...theirs, ours]), 2_500);
    docker.pause(container);
    docker.unpause(container);
    // Other labels: what Consul holds under the ID is changed, without a check of ours.
    await first.stop();
    docker.remove(container);
    container = run({ SERVICE_TAGS: 'new' });
  }
  await using _second = start(docker.host, words);
  await soon(async () =>
    expect((await consul.api<{ Tags: string[] }>('GET', `/v1/agent/service/${id}`)).Tags).toEqual(['new']),
  );
  await soon(async () => expect(await checks()).toEqual(theirs));
  await holds(async () => expect(await checks()).toEqual(theirs), 2_500);
  docker.pause(container);
  await holds(async () => expect(await checks()).toEqual(theirs), 1_500);
  docker.unpause(container);
  await holds(async () => expect(await checks()).toEqual(theirs), 1_500);
});

async function command(host: string, ...words: readonly string[]): Promise<string> {
  await using one = start(host, words);
  expect(await one.exited, one.stderr).toBe(0);
  return one.stdout;
}

it('check and ls show who holds what is asked for; cleanup --hostname removes what a renamed host left elsewhere', async () => {
  await using docker = await new SimulatedDocker({ hostname: 'm8' }).up();
  docker.run({ name: 'web', image: 'team/web:1.0', publish: { '80/tcp': 20_400 }, labels: { SERVICE_ID: 'held' } });
  const uri = `consul://${consul.address}`;
  {
    await using former = start(docker.host, ['--hostname', 'm8old', '--ip', '10.9.8.1', uri]);
    await soon(async () => expect((await byId('held')).Port).toBe(20_400));
    await former.stop();
  }
  const holder = 'registrator on host "m8old"';
  expect(await command(docker.host, 'check', 'web', uri)).toMatch(
    new RegExp(`IN CONFLICT +ID +IN +HELD BY\\nweb +held +${uri} +${holder}\\n`),
  );
  expect(await command(docker.host, 'check', 'web')).not.toContain('IN CONFLICT');
  expect(await command(docker.host, 'ls', uri)).toMatch(
    new RegExp(
      `STATE +SERVICE +ADDRESS +ID +HELD BY\\n(.*\\n)*conflict +web +10\\.9\\.8\\.7:20400 +held +${holder}\\n`,
    ),
  );
  await using one = start(docker.host, ['-resync', '1', uri]);
  await soon(() => expect(conflicts(one)).toHaveLength(1));
  const cleanup = `registrator cleanup --hostname m8old ${uri}`;
  const [warning] = lines(one, 'warn', /bear the ID of this host's Docker engine/);
  expect(warning?.msg).toContain(cleanup);
  expect(await command(docker.host, ...cleanup.split(' ').slice(1))).toMatch(/removed +web +10\.9\.8\.1:20400 +held/);
  await soon(async () =>
    expect(await consul.api('GET', '/v1/agent/service/held')).toMatchObject({ Address: '10.9.8.7' }),
  );
});

it('a refusal is told once, in the words of the registry, however often the container changes', async () => {
  await using server = await new ConsulServer({ acl: true }).start();
  const CONSUL_HTTP_TOKEN = await server.createToken(
    'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }',
  );
  await using docker = await new SimulatedDocker({ hostname: 'm9' }).up();
  await using one = start(docker.host, ['-resync', '1', `consul://${server.address}`], { CONSUL_HTTP_TOKEN });
  await logged(one, 'connected to the registry');
  const id = docker.run({ name: 'web', image: 'team/web:1.0', publish: { '80/tcp': 20_500 } });
  const refusals = () => lines(one, 'warn', /^the registry refuses to register this service: /);
  await soon(() => expect(refusals()).toHaveLength(1));
  expect(refusals()[0]?.msg).toMatch(
    /Consul says «Permission denied.*service:write for "web".*The others go on, and it is tried again later$/,
  );
  for (let n = 0; n < 3; n++) {
    docker.pause(id);
    docker.unpause(id);
  }
  await holds(() => expect(refusals()).toHaveLength(1), 7_000);
});
