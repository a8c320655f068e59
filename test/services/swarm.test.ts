import { describe, expect, test } from 'vitest';
import { swarmServiceId } from '../../src/services/index.ts';
import { deriveSample, only, snapshot } from './snapshots.ts';

const TASK = {
  name: 'shop_web.1.x1y2z3',
  image: 'acme/nginx:1.2',
  exposed: ['80/tcp'],
  published: {},
  labels: { 'com.docker.swarm.service.id': 'k2a9f', 'com.docker.swarm.service.name': 'shop_web' },
};
const COMPOSED = { labels: { 'com.docker.compose.service': 'cache' } };

/** As an engine answers `GET /services/{id}`; see swarm.e2e.test.ts. */
const swarmService = {
  ID: 'k2a9f',
  Spec: { Name: 'shop_web', Labels: { SERVICE_TAGS: 'blue', SERVICE_NAME: 'by-service', other: 'x' } },
  Endpoint: {
    Ports: [
      { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
      { Protocol: 'udp', TargetPort: 53, PublishedPort: 5300, PublishMode: 'host' },
    ],
  },
};

describe('--compose-names', () => {
  test('names a container by its Compose service where no label names it', () => {
    expect(only(COMPOSED, { composeNames: true }).name).toBe('cache');
    expect(only(COMPOSED).name).toBe('redis');
    const named = { labels: { ...COMPOSED.labels, SERVICE_NAME: 'mine' } };
    expect(only(named, { composeNames: true }).name).toBe('mine');
  });
});

describe('--swarm', () => {
  test('names a task by its service', () => {
    const task = { ...TASK, published: { '80/tcp': ['8080'] } };
    expect(only(task, { swarm: true }).name).toBe('shop_web');
    expect(only(task).name).toBe('nginx');
  });

  test("publishes the service's ingress ports at the host, with the labels of the service", () => {
    expect(only(TASK, { swarm: true }, { swarmService })).toMatchObject({
      name: 'by-service',
      address: '10.0.0.1',
      port: 8080,
      tags: ['blue'],
      meta: {},
    });
  });

  test("counts the container's own labels above those of the service", () => {
    const labels = { ...TASK.labels, SERVICE_TAGS: 'green' };
    expect(only({ ...TASK, labels }, { swarm: true }, { swarmService }).tags).toEqual(['green']);
  });

  test('takes the address of a network that others reach, not of the ingress one, with --internal', () => {
    const networks = { ingress: { IPAddress: '10.0.0.9' }, web: { IPAddress: '10.0.1.9' } };
    const task = { ...TASK, networkMode: 'default', networks };
    expect(only(task, { swarm: true, internal: true }, { swarmService })).toMatchObject({
      address: '10.0.1.9',
      port: 80,
    });
  });

  test.each([
    [null],
    [[]],
    ['x'],
    [{ Spec: null, Endpoint: 7 }],
    [{ Endpoint: { Ports: [null, { TargetPort: -1 }] } }],
  ])('takes any answer of Docker: %j', (answer) => {
    expect(deriveSample(TASK, { swarm: true }, { swarmService: answer }).services).toEqual([]);
  });

  test('asks for the service of tasks only', () => {
    expect(swarmServiceId(snapshot(TASK))).toBe('k2a9f');
    expect(swarmServiceId(snapshot())).toBeUndefined();
  });
});
