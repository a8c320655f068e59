import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeMark, encodeMark, type Mark } from '../../../src/registries/rfc2136/mark.ts';
import { hostile } from '../hostile.ts';

const mark: Mark = {
  host: 'web1',
  engine: 'SZHD:7R5Q',
  id: 'web1:cache:6379',
  name: 'redis',
  address: '10.0.0.5',
  port: 32_768,
  protocol: 'tcp',
  weight: 1,
  tags: ['blue', 'a,b'],
};

it('a mark is one line that people can read', () => {
  expect(encodeMark(mark).join('')).toBe(
    'heritage=registrator,host=web1,engine=SZHD:7R5Q,id=web1:cache:6379,name=redis,address=10.0.0.5,port=32768,protocol=tcp,weight=1,tag=blue,tag=a%2Cb',
  );
});

it('any mark is read back as it was, in strings of 255 bytes at the most', () => {
  const text = fc.oneof(hostile, fc.constantFrom('a,b=c', ',', '%2C', 'x'.repeat(300)));
  const any = fc.record({
    host: text,
    engine: text,
    id: text,
    name: text,
    address: fc.oneof(fc.ipV4(), fc.ipV6()),
    port: fc.nat(65_535),
    protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
    weight: fc.nat(65_535),
    tags: fc.array(text, { maxLength: 5 }),
  });
  fc.assert(
    fc.property(any, (each) => {
      const strings = encodeMark(each);
      expect(Math.max(...strings.map(({ length }) => length))).toBeLessThanOrEqual(255);
      expect(decodeMark(strings)).toEqual(each);
    }),
  );
});

it.each([
  'v=spf1 -all',
  'heritage=external-dns,external-dns/owner=default',
  'heritage=registrator',
  'heritage=registrator,host=a,engine=b,id=c,name=d,address=no,port=1,protocol=tcp,weight=1',
  'heritage=registrator,host=a,engine=b,id=c,name=d,address=10.0.0.1,port=65536,protocol=tcp,weight=1',
  'heritage=registrator,host=a,engine=b,id=c,name=d,address=10.0.0.1,port=,protocol=tcp,weight=',
  'heritage=registrator,host=a,engine=b,id=c,name=d,address=10.0.0.1,port=1,protocol=icmp,weight=1',
])('%s is no mark of ours', (text) => {
  expect(decodeMark([Buffer.from(text)])).toBeUndefined();
});

it('any text is read or is no mark', () => {
  fc.assert(fc.property(fc.array(hostile), (parts) => void decodeMark([Buffer.from(`heritage=registrator,${parts}`)])));
});
