import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostAddress } from '../../src/discovery/host-address.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { importGoldenImages } from '../support/images.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';

/** Real containers, one run each way of looking at them; what golden.e2e.test.ts holds already is not repeated here. */
const CONTAINERS: readonly (readonly [name: string, ...words: string[]])[] = [
  ['both-protocols', '-p', '0:53/udp', '-p', '0:53/tcp', 'named'],
  ['bound-v6', '-p', '[::1]:0:6379', 'redis'],
  ['bound-both', '-p', '0.0.0.0:20100:6379', '-p', '[::]:20100:6379', 'redis'],
  ['on-two-networks', '--network', 'back', 'redis'],
  ['chosen-network', '--network', 'back', '-l', 'SERVICE_NETWORK=front', 'redis'],
  ['joining', '--network', 'container:joined', '-l', 'SERVICE_8080_NAME=side', 'plain'],
  [
    'label-over-env',
    '-p',
    '0:6379',
    '-e',
    'SERVICE_NAME=env',
    '-e',
    'SERVICE_ZONE=env',
    '-l',
    'SERVICE_NAME=label',
    'redis',
  ],
  ['overridden', '-p', '0:6379', '-l', 'SERVICE_IP=198.51.100.7', '-l', 'SERVICE_6379_PORT=7000', 'redis'],
  ['made-internal', '-l', 'SERVICE_INTERNAL=true', 'redis'],
  ['digest-like', '-p', '0:6379', 'acme/deep/path/redis:7'],
  ['protocol-fields', '-p', '0:53/udp', '-p', '0:53/tcp', '-l', 'SERVICE_53_UDP_NAME=datagrams', 'named'],
  ['port-range', '-p', '0:80', '-p', '0:443', '-l', 'SERVICE_400-500_NAME=tls', 'acme/nginx:1.2'],
  ['sick', '-p', '0:6379', '--health-cmd', 'false', '--health-interval', '1s', '--health-retries', '1', 'redis'],
  ['paused', '-p', '0:6379', 'redis'],
  ['created-only', '-p', '0:6379', 'redis'],
  ['stopped', '-p', '0:6379', 'redis'],
];

let engine: DockerEngine;
let host: string;
const addresses = new Map<string, Record<string, string>>();

beforeAll(async () => {
  engine = await new DockerEngine({ ipv6: true }).start();
  await importGoldenImages(engine);
  await engine.docker('tag', 'redis:latest', 'acme/deep/path/redis:7');
  await engine.createNetwork('back');
  await engine.createNetwork('front');
  await engine.run('--name', 'joined', '-p', '0:8080', 'registry.example:5000/team/api:2.0');
  for (const [name, ...words] of CONTAINERS) {
    if (name === 'created-only') await engine.docker('create', '--name', name, ...words);
    else await engine.run('--name', name, ...words);
  }
  for (const name of ['on-two-networks', 'chosen-network']) await engine.docker('network', 'connect', 'front', name);
  await engine.docker('pause', 'paused');
  await engine.docker('stop', 'stopped');
  for (const [name] of [...CONTAINERS, ['joined']]) {
    const { NetworkSettings } = await engine.inspect(name as string);
    const networks = Object.entries(NetworkSettings.Networks ?? {}).map(([network, { IPAddress = '' }]) => [
      network,
      IPAddress,
    ]);
    addresses.set(name as string, { ...Object.fromEntries(networks), v6: NetworkSettings.GlobalIPv6Address ?? '' });
  }
  host = (await hostAddress('node1', 4)) ?? 'none';
});
afterAll(() => engine?.dispose());

const addressOf = (container: string, network = 'bridge') => addresses.get(container)?.[network] || 'none';

interface Registered {
  readonly ID: string;
  readonly Name: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags?: string[];
  readonly Meta: Record<string, string>;
  readonly Check: { Status?: string } | null;
}

async function registeredWith(...flags: string[]): Promise<Map<string, Registered>> {
  await using consul = await new RecordingConsul().start();
  await using registrator = new Registrator(['--hostname', 'node1', ...flags, `consul://${consul.address}`], {
    host: engine.host,
  });
  const { services } = await registrator.waitForLog('looked at every container');
  await eventuallyPasses(() => expect(consul.services.size).toBe(services));
  return new Map([...consul.services].map(([id, body]) => [id, body as unknown as Registered]));
}

describe('of real containers, by default,', () => {
  let services: Map<string, Registered>;
  beforeAll(async () => {
    services = await registeredWith();
  });
  const one = (id: string) => services.get(`node1:${id}`);

  it('those that run and have published ports are registered, and no others', () => {
    expect([...services.keys()].sort()).toEqual(
      [
        'both-protocols:53',
        'both-protocols:53:udp',
        'bound-both:6379',
        'bound-v6:6379',
        'digest-like:6379',
        'joined:8080',
        'joining:8080',
        'label-over-env:6379',
        'made-internal:6379',
        'overridden:6379',
        'paused:6379',
        'port-range:443',
        'port-range:80',
        'protocol-fields:53',
        'protocol-fields:53:udp',
        'sick:6379',
      ].map((id) => `node1:${id}`),
    );
  });

  it('udp beside tcp on one number are two services, the udp one tagged', async () => {
    expect(one('both-protocols:53')).toMatchObject({
      Name: 'named-53',
      Port: await engine.hostPort('both-protocols', '53/tcp'),
    });
    expect(one('both-protocols:53:udp')).toMatchObject({
      Name: 'named-53',
      Tags: ['udp'],
      Port: await engine.hostPort('both-protocols', '53/udp'),
    });
  });

  it('wildcard bindings of both families are one service at the host', () => {
    expect(one('bound-both:6379')).toMatchObject({ Address: host, Port: 20100 });
  });

  it('labels win over the environment, field by field', () => {
    expect(one('label-over-env:6379')).toMatchObject({ Name: 'label', Meta: { zone: 'env' } });
  });

  it('address and port can be given by label, and one container made internal', () => {
    expect(one('overridden:6379')).toMatchObject({ Address: '198.51.100.7', Port: 7000 });
    expect(one('made-internal:6379')).toMatchObject({ Address: addressOf('made-internal'), Port: 6379 });
  });

  it('an image with registry path and tag gives its base name', () => {
    expect(one('digest-like:6379')?.Name).toBe('redis');
    expect(one('joined:8080')?.Name).toBe('api');
  });

  it('fields can be given for a protocol of a port, and for a range of ports', () => {
    expect([one('protocol-fields:53')?.Name, one('protocol-fields:53:udp')?.Name]).toEqual(['named-53', 'datagrams']);
    expect([one('port-range:80')?.Name, one('port-range:443')?.Name]).toEqual(['nginx-80', 'tls']);
  });

  it('a container in another’s network is registered by that one’s ports and its own labels', async () => {
    expect(one('joining:8080')).toMatchObject({
      Name: 'side',
      Port: await engine.hostPort('joined', '8080/tcp'),
      Address: host,
    });
  });

  it('a HEALTHCHECK becomes a check with the state that Docker gives, for a day', () => {
    expect(one('sick:6379')?.Check).toMatchObject({ Status: 'critical', TTL: '86400s' });
  });
});

describe('of real containers, with --internal,', () => {
  it('the address is that of the first network in name order, or of the one chosen by flag or label', async () => {
    const services = await registeredWith('--internal');
    expect(services.get('node1:on-two-networks:6379')).toMatchObject({
      Address: addressOf('on-two-networks', 'back'),
      Port: 6379,
    });
    expect(services.get('node1:chosen-network:6379')).toMatchObject({ Address: addressOf('chosen-network', 'front') });
    expect(services.get('node1:joining:8080')).toMatchObject({ Address: addressOf('joined'), Port: 8080 });
    const front = await registeredWith('--internal', '--network', 'front');
    expect(front.get('node1:on-two-networks:6379')).toMatchObject({ Address: addressOf('on-two-networks', 'front') });
  });

  it('and --ip-family 6 it is the container’s IPv6 address, bracketed in a check', async () => {
    await engine.run('--name', 'checked', '-l', 'SERVICE_CHECK_HTTP=/', 'redis');
    const { NetworkSettings } = await engine.inspect('checked');
    const services = await registeredWith('--internal', '--ip-family', '6');
    const address = NetworkSettings.GlobalIPv6Address ?? '';
    expect(address).toMatch(/:/);
    expect(services.get('node1:checked:6379')).toMatchObject({
      Address: address,
      Check: { HTTP: `http://[${address}]:6379/` },
    });
    await engine.docker('rm', '-f', 'checked');
  });
});

describe('of real containers,', () => {
  it('one without an address waits, with a warning that names it, and is taken up when it has one', async () => {
    await engine.run('--name', 'unconnected', '--network', 'none', 'redis');
    await using consul = await new RecordingConsul().start();
    await using registrator = new Registrator(['--hostname', 'node1', '--internal', `consul://${consul.address}`], {
      host: engine.host,
    });
    await registrator.waitForLog(
      ({ level, container, msg }) => level === 'warn' && container === 'unconnected' && /address/.test(msg ?? ''),
    );
    expect(consul.services.has('node1:unconnected:6379')).toBe(false);
    await engine.docker('network', 'disconnect', 'none', 'unconnected');
    await engine.docker('network', 'connect', 'back', 'unconnected');
    await eventuallyPasses(() =>
      expect(consul.services.get('node1:unconnected:6379')?.Address).toMatch(/^172\.|^10\.|^192\./),
    );
    await engine.docker('rm', '-f', 'unconnected');
  });

  it('the first part of IDs is the Docker host’s name where no --hostname is given', async () => {
    await using consul = await new RecordingConsul().start();
    await using registrator = new Registrator([`consul://${consul.address}`], { host: engine.host });
    await registrator.waitForLog('looked at every container');
    const name = await engine.docker('info', '-f', '{{.Name}}');
    await eventuallyPasses(() => expect(consul.services.has(`${name}:paused:6379`)).toBe(true));
  });
});
