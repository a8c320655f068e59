import { describe, expect, test } from 'vitest';
import { joinedContainer } from '../../src/services/index.ts';
import { deriveSample, ID, only, snapshot, told } from './snapshots.ts';

const TWO = { image: 'acme/nginx:1.2', published: { '80/tcp': ['8000'], '443/tcp': ['4443'] } };

test('a published port becomes a service', () => {
  expect(only({ name: 'redis' })).toEqual({
    id: 'node1:redis:6379',
    name: 'redis',
    address: '10.0.0.1',
    port: 16379,
    protocol: 'tcp',
    tags: [],
    meta: {},
    origin: {
      containerId: ID,
      containerName: 'redis',
      image: 'redis',
      exposedPort: 6379,
      startedAt: Date.parse('2026-11-25T08:00:00.123Z'),
      networks: ['bridge'],
      sources: {
        name: 'default: the image',
        id: 'default: host, container and port',
        address: "default: this host's",
        port: 'published port',
      },
    },
  });
});

describe('the state of the container', () => {
  test.each(['created', 'restarting', 'removing', 'exited', 'dead'])('%s: no service, and the reason', (status) => {
    const { services, ignored } = deriveSample({ state: { Status: status } });
    expect(services).toEqual([]);
    expect(ignored).toEqual([{ port: '6379/tcp', reason: `the container is "${status}"; start it` }]);
  });

  test('paused: kept, and critical', () => {
    expect(only({ state: { Status: 'paused', Paused: true } })).toMatchObject({
      port: 16379,
      health: { status: 'critical', output: 'container is paused' },
    });
  });

  test('an engine that gives no status: the flags decide', () => {
    const state = { Status: undefined as unknown as string };
    expect(deriveSample({ state: { ...state, Running: true } }).services).toHaveLength(1);
    expect(deriveSample({ state: { ...state, Running: true, Restarting: true } }).services).toEqual([]);
    expect(deriveSample({ state: { ...state, Running: false } }).services).toEqual([]);
    expect(only({ state: { ...state, Running: true, Paused: true } }).health?.status).toBe('critical');
  });

  test('a container that never started has no start time', () => {
    expect(only({ state: { StartedAt: '0001-01-01T00:00:00Z' } }).origin.startedAt).toBe(0);
  });
});

describe('ports', () => {
  test('come by number, then by protocol', () => {
    const { services } = deriveSample({
      published: { '443/tcp': ['1'], '53/udp': ['2'], '53/tcp': ['3'], '9/sctp': ['4'] },
    });
    expect(services.map(({ id }) => id)).toEqual([
      'node1:web:9:sctp',
      'node1:web:53',
      'node1:web:53:udp',
      'node1:web:443',
    ]);
  });

  test('that are exposed only are left out, with the reason', () => {
    const { services, ignored } = deriveSample({ exposed: ['80/tcp', '443/tcp'], published: { '80/tcp': ['8000'] } });
    expect(services.map(({ port }) => port)).toEqual([8000]);
    expect(ignored).toEqual([
      { port: '443/tcp', reason: 'not published; publish it, or use --internal or SERVICE_INTERNAL=true' },
    ]);
  });

  test('--internal takes exposed ones too, by their own number and the container’s address', () => {
    const sample = { exposed: ['80/tcp', '443/tcp'], published: { '80/tcp': ['8000'] } };
    const { services, ignored } = deriveSample(sample, { internal: true });
    expect(services.map(({ address, port }) => `${address}:${port}`)).toEqual(['172.17.0.2:80', '172.17.0.2:443']);
    expect(ignored).toEqual([]);
  });

  test('SERVICE_INTERNAL overrides the mode, per container and per port', () => {
    expect(only({ labels: { SERVICE_INTERNAL: 'true' } })).toMatchObject({
      address: '172.17.0.2',
      port: 6379,
      meta: {},
    });
    expect(only({ labels: { SERVICE_INTERNAL: 'false' } }, { internal: true })).toMatchObject({ port: 16379 });
    const mixed = deriveSample({ ...TWO, labels: { SERVICE_443_INTERNAL: 'true' } });
    expect(mixed.services.map(({ port }) => port)).toEqual([8000, 443]);
  });

  test('SERVICE_INTERNAL that is neither true nor false is ignored, and named', () => {
    const derivation = deriveSample({ labels: { SERVICE_INTERNAL: 'maybe' } });
    expect(derivation.services[0]).toMatchObject({ port: 16379 });
    expect(told(derivation)).toEqual([
      '"SERVICE_INTERNAL" is "maybe", which is neither true nor false; it is ignored.',
    ]);
  });

  test('on the host network are on the host by their own number', () => {
    const sample = { networkMode: 'host', exposed: ['6379/tcp'], published: {}, networks: { host: { IPAddress: '' } } };
    expect(only(sample)).toMatchObject({ address: '10.0.0.1', port: 6379 });
    expect(only(sample, { internal: true })).toMatchObject({ address: '10.0.0.1', port: 6379 });
    expect(only(sample, { ipFromContainer: true })).toMatchObject({ address: '10.0.0.1', port: 6379 });
    expect(only(sample, { ip: '10.9.8.7' })).toMatchObject({ address: '10.9.8.7', port: 6379 });
  });

  test('SERVICE_PORT and SERVICE_<port>_PORT override the number', () => {
    expect(only({ labels: { SERVICE_PORT: '99' } })).toMatchObject({ id: 'node1:web:6379', port: 99, meta: {} });
    const { services } = deriveSample({ ...TWO, labels: { SERVICE_80_PORT: '81' } });
    expect(services.map(({ port }) => port)).toEqual([81, 4443]);
  });

  test.each(['0', '65536', '-1', '80a', '080', 'tcp://172.17.0.2:6379'])(
    'SERVICE_PORT=%s is ignored, and named',
    (value) => {
      const derivation = deriveSample({ env: { SERVICE_PORT: value } });
      expect(derivation.services[0]).toMatchObject({ port: 16379 });
      expect(told(derivation)).toEqual([
        `"SERVICE_PORT" is "${value}", which is no whole number from 1 to 65535; it is ignored.`,
      ]);
    },
  );
});

describe('ignoring', () => {
  test.each(['true', '1', 'yes', 'no'])('SERVICE_IGNORE=%s', (value) => {
    const { services, ignored, notices } = deriveSample({ env: { SERVICE_IGNORE: value } });
    expect(services).toEqual([]);
    expect(ignored).toEqual([{ port: '6379/tcp', reason: '"SERVICE_IGNORE" asks to ignore it' }]);
    expect(notices).toEqual([]);
  });

  test.each(['', 'false', '0', 'FALSE'])('SERVICE_IGNORE=%s is none, and no metadata', (value) => {
    expect(only({ env: { SERVICE_IGNORE: value } }).meta).toEqual({});
  });

  test('one port does not rename the other', () => {
    const { services } = deriveSample({ ...TWO, env: { SERVICE_80_IGNORE: 'true' } });
    expect(services.map(({ name, port }) => [name, port])).toEqual([['nginx-443', 4443]]);
  });

  test('a label takes back what the image’s environment says', () => {
    expect(only({ env: { SERVICE_IGNORE: 'true' }, labels: { SERVICE_IGNORE: '' } }).port).toBe(16379);
  });
});

describe('--explicit', () => {
  test('wants a name', () => {
    const { services, ignored } = deriveSample({ env: { SERVICE_NAME: '' } }, { explicit: true });
    expect(services).toEqual([]);
    expect(ignored).toEqual([
      { port: '6379/tcp', reason: 'it has no SERVICE_NAME, which --explicit asks for; set SERVICE_NAME' },
    ]);
  });

  test('takes a name for the container or for the port', () => {
    expect(only({ env: { SERVICE_NAME: 'db' } }, { explicit: true }).name).toBe('db');
    const { services } = deriveSample({ ...TWO, env: { SERVICE_443_NAME: 'https' } }, { explicit: true });
    expect(services.map(({ name }) => name)).toEqual(['https']);
  });
});

describe('a container in another one’s network', () => {
  const pod = snapshot({ name: 'pod', id: 'a'.repeat(64), published: { '80/tcp': ['8000'], '9000/tcp': ['9001'] } });
  const sidecar = { networkMode: `container:${pod.Id}`, published: {}, networks: {}, image: 'acme/proxy' };

  test('is known by the other’s ID', () => {
    expect(joinedContainer(snapshot(sidecar))).toBe('a'.repeat(64));
    expect(joinedContainer(snapshot())).toBeUndefined();
  });

  test('has the ports that it exposes, published and addressed as the other’s', () => {
    const sample = { ...sidecar, exposed: ['9000/tcp'], labels: { SERVICE_TAGS: 'side' } };
    expect(only(sample, {}, { joined: pod })).toMatchObject({
      id: 'node1:web:9000',
      name: 'proxy',
      address: '10.0.0.1',
      port: 9001,
      tags: ['side'],
    });
    expect(only(sample, { internal: true }, { joined: pod })).toMatchObject({ address: '172.17.0.2', port: 9000 });
  });

  test('has the ports that its fields name', () => {
    expect(only({ ...sidecar, labels: { SERVICE_80_NAME: 'proxy' } }, {}, { joined: pod })).toMatchObject({
      id: 'node1:web:80',
      name: 'proxy',
      port: 8000,
    });
  });

  test('does not register what is the other’s', () => {
    const { services, ignored, notices } = deriveSample(sidecar, {}, { joined: pod });
    expect(services).toEqual([]);
    expect(ignored[0]).toEqual({
      port: '80/tcp',
      reason: 'it is the port of "pod", whose network this container joins; claim it with SERVICE_80_NAME',
    });
    expect(notices).toEqual([]);
  });

  test('is not registered while the other is missing', () => {
    const derivation = deriveSample({ ...sidecar, exposed: ['9000/tcp'] });
    expect(derivation.services).toEqual([]);
    expect(told(derivation)).toEqual([
      `the container whose network it joins ("container:${'a'.repeat(64)}") was not found; start that one. Nothing is registered until then.`,
    ]);
  });

  test('on the host network is on the host', () => {
    const host = snapshot({ name: 'pod', networkMode: 'host', published: {}, networks: {} });
    expect(only({ ...sidecar, exposed: ['9000/tcp'] }, {}, { joined: host })).toMatchObject({
      address: '10.0.0.1',
      port: 9000,
    });
  });
});

describe('notices', () => {
  test('are one for all ports of a container that have the same fault', () => {
    const exposed = Array.from({ length: 12 }, (_, index) => `${index + 1}/tcp`);
    const derivation = deriveSample({ exposed, published: {}, networks: {} }, { internal: true });
    expect(derivation.ignored).toHaveLength(12);
    expect(told(derivation)).toEqual([
      '1/tcp, 2/tcp, 3/tcp, 4/tcp, 5/tcp, 6/tcp, 7/tcp, 8/tcp, 9/tcp, 10/tcp and 2 more are not registered: the container has no IPv4 address in any network; connect it to a network, or set SERVICE_IP.',
    ]);
  });

  test('stay on one line and short, whatever a label says', () => {
    const [notice] = deriveSample({ labels: { SERVICE_WEIGHT: `\n\x1b[2J${'x'.repeat(5_000)}` } }).notices;
    expect(notice?.message).toMatch(
      /^Container web: "SERVICE_WEIGHT" is "\\n\\u001b\[2Jx{95}…", which is no whole number/,
    );
  });
});

describe('extra fields', () => {
  test('SERVICE_WEIGHT', () => {
    expect(only({ labels: { SERVICE_WEIGHT: '20' } })).toMatchObject({ weight: 20, meta: {} });
    const derivation = deriveSample({ labels: { SERVICE_WEIGHT: 'heavy' } });
    expect(derivation.services[0]).not.toHaveProperty('weight');
    expect(told(derivation)).toEqual([
      '"SERVICE_WEIGHT" is "heavy", which is no whole number from 1 to 65535; it is ignored.',
    ]);
  });

  test('SERVICE_ENABLE_TAG_OVERRIDE stays in the metadata, as peers send it', () => {
    expect(only({ labels: { SERVICE_ENABLE_TAG_OVERRIDE: 'true' } })).toMatchObject({
      enableTagOverride: true,
      meta: { enable_tag_override: 'true' },
    });
    expect(only({ labels: { SERVICE_ENABLE_TAG_OVERRIDE: 'false' } })).not.toHaveProperty('enableTagOverride');
  });

  test('--ttl', () => {
    expect(only({}, { ttl: 60 }).ttl).toBe(60);
  });
});
