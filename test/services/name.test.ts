import { describe, expect, test } from 'vitest';
import { needsImageTags } from '../../src/services/index.ts';
import { deriveSample, IMAGE_ID, only, snapshot, told } from './snapshots.ts';

const TWO = { image: 'acme/nginx:1.2', published: { '80/tcp': ['8000'], '443/tcp': ['4443'] } };
const DNS = { published: { '53/tcp': ['5300'], '53/udp': ['5300'] } };

const names = (...sample: Parameters<typeof deriveSample>) => deriveSample(...sample).services.map(({ name }) => name);
const ids = (...sample: Parameters<typeof deriveSample>) => deriveSample(...sample).services.map(({ id }) => id);

describe('the name', () => {
  test.each([
    ['redis', 'redis'],
    ['redis:7', 'redis'],
    ['acme/nginx:1.2', 'nginx'],
    ['registry.example:5000/team/api:2.0', 'api'],
    ['registry:5000/acme/redis:7@sha256:0123', 'redis'],
    ['registry:5000/acme/redis', 'redis'],
    ['redis@sha256:0123', 'redis'],
    ['', 'web'],
    ['acme/', 'web'],
  ])('of the image %j is %j', (image, name) => {
    expect(only({ image }).name).toBe(name);
  });

  test('is what SERVICE_NAME says, as it is', () => {
    expect(only({ env: { SERVICE_NAME: 'My Service/ü' } }).name).toBe('My Service/ü');
    expect(only({ env: { SERVICE_NAME: '' } }).name).toBe('redis');
  });

  test('has the port where there are several', () => {
    expect(names(TWO)).toEqual(['nginx-80', 'nginx-443']);
    expect(names({ ...TWO, env: { SERVICE_NAME: 'web' } })).toEqual(['web-80', 'web-443']);
    expect(names(DNS)).toEqual(['redis-53', 'redis-53']);
  });

  test('has no port where it was given for the port, or its range', () => {
    expect(names({ ...TWO, env: { SERVICE_443_NAME: 'https' } })).toEqual(['nginx-80', 'https']);
    expect(names({ ...TWO, env: { 'SERVICE_1-1000_NAME': 'web' } })).toEqual(['web', 'web']);
    expect(names({ ...DNS, labels: { SERVICE_53_UDP_NAME: 'dns' } })).toEqual(['redis-53', 'dns']);
    expect(names({ ...TWO, env: { SERVICE_80_NAME: '' } })).toEqual(['nginx-80', 'nginx-443']);
  });

  test('counts the ports that the mode offers only', () => {
    const sample = { ...TWO, exposed: ['80/tcp', '443/tcp'], published: { '80/tcp': ['8003'] } };
    expect(names(sample)).toEqual(['nginx']);
    expect(names(sample, { internal: true })).toEqual(['nginx-80', 'nginx-443']);
  });
});

describe('an image known by its ID only', () => {
  const full = IMAGE_ID.slice('sha256:'.length);

  test.each([IMAGE_ID, full, full.slice(0, 12), full.slice(0, 4), `sha256:${full.slice(0, 12)}`])(
    'is seen: %s',
    (image) => {
      expect(needsImageTags(snapshot({ image }))).toBe(true);
      expect(only({ image }, {}, { imageTags: ['redis:latest'] }).name).toBe('redis');
      expect(only({ image }, {}, { imageTags: [] }).name).toBe('web');
      expect(only({ image }).name).toBe('web');
    },
  );

  test.each(['redis', 'cafe', 'deadbeef', 'redis@sha256:0123', 'acme/0123'])('is not seen in the name %s', (image) => {
    expect(needsImageTags(snapshot({ image }))).toBe(false);
  });

  test('has the first of its tags by name, whatever order Docker gives', () => {
    const imageTags = ['<none>:<none>', 'zebra:1', 'registry:5000/acme/ant:2'];
    expect(only({ image: IMAGE_ID }, {}, { imageTags }).name).toBe('ant');
  });
});

describe('the ID', () => {
  test('is host, container and exposed port, and the protocol where it is not tcp', () => {
    expect(ids(DNS)).toEqual(['node1:web:53', 'node1:web:53:udp']);
    expect(ids({ published: { '132/sctp': ['1'] } })).toEqual(['node1:web:132:sctp']);
  });

  test('is what SERVICE_ID says', () => {
    expect(ids({ env: { SERVICE_ID: 'redis-1' } })).toEqual(['redis-1']);
    expect(ids({ env: { SERVICE_ID: 'dns' }, published: { '53/udp': ['1'] } })).toEqual(['dns']);
    expect(ids({ ...TWO, env: { SERVICE_443_ID: 'https.12345' } })).toEqual(['node1:web:80', 'https.12345']);
  });

  test('has the port where SERVICE_ID or a range would give it to several', () => {
    expect(ids({ ...TWO, env: { SERVICE_ID: 'twins' } })).toEqual(['twins-80', 'twins-443']);
    expect(ids({ ...TWO, env: { 'SERVICE_1-1000_ID': 'twins' } })).toEqual(['twins-80', 'twins-443']);
    expect(ids({ ...DNS, env: { SERVICE_ID: 'dns' } })).toEqual(['dns-53', 'dns-53:udp']);
  });

  test('is another one for each service, whatever the labels say', () => {
    const derivation = deriveSample({ ...TWO, labels: { SERVICE_80_ID: 'same', SERVICE_443_ID: 'same' } });
    expect(derivation.services.map(({ id }) => id)).toEqual(['same', 'same-443']);
    expect(told(derivation)).toEqual([
      'two of its services would have the ID "same"; that of port 443/tcp is registered as "same-443". Give each a SERVICE_<port>_ID of its own.',
    ]);
    expect(ids({ ...DNS, labels: { SERVICE_53_ID: 'dns' } })).toEqual(['dns', 'dns:udp']);
  });
});
