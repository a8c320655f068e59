import { expect, test } from 'vitest';
import { only } from './snapshots.ts';

const sources = (sample: Parameters<typeof only>[0], options?: Parameters<typeof only>[1]) =>
  only(sample, options).origin.sources;

test('each field says which label or variable it comes from, the one that counts', () => {
  expect(
    sources({
      labels: {
        SERVICE_NAME: 'cache',
        SERVICE_6379_TAGS: 'a,b',
        SERVICE_CHECK_HTTP: '/health',
        SERVICE_IP: '10.1.1.1',
      },
      env: { SERVICE_NAME: 'ignored', SERVICE_REGION: 'eu', SERVICE_ID: 'x' },
    }),
  ).toEqual({
    name: 'label SERVICE_NAME',
    id: 'environment SERVICE_ID',
    address: 'label SERVICE_IP',
    port: 'published port',
    tags: 'label SERVICE_6379_TAGS',
    check: 'label SERVICE_CHECK_HTTP',
    'meta.check_http': 'label SERVICE_CHECK_HTTP',
    'meta.region': 'environment SERVICE_REGION',
  });
});

test('where nothing is said, which default or flag it is', () => {
  expect(sources({}, { ip: '10.9.9.9' })).toEqual({
    name: 'default: the image',
    id: 'default: host, container and port',
    address: '--ip',
    port: 'published port',
  });
  expect(sources({}, { internal: true })).toMatchObject({ address: "the container's network", port: 'exposed port' });
});
