import { decode, encode } from 'dns-packet';
import { expect, test } from 'vitest';
import { mostTo } from '../../src/catalogue/dns/amplification.ts';
import { encodeReply, parseQuery } from '../../src/catalogue/dns/wire.ts';

test.each([
  '127.0.0.1',
  '127.8.8.8',
  '::1',
  '10.1.2.3',
  '172.17.0.5',
  '192.168.1.9',
  'fd00::2',
  'fe80::1%eth0',
  '::ffff:10.1.2.3',
])('%s is near: what it is sent has no bound of its own', (address) => {
  expect(mostTo(address, 40)).toBe(Number.POSITIVE_INFINITY);
});

test.each(['8.8.8.8', '2001:4860::8', '::ffff:8.8.8.8', '0.0.0.0'])(
  '%s gets at most ten times its question',
  (address) => {
    expect(mostTo(address, 40)).toBe(400);
  },
);

test('what does not fit is left out, and the reply says so', () => {
  const name = 'redis.service.consul';
  const additionals = [{ type: 'OPT', name: '.', udpPayloadSize: 1232 }] as never;
  const packet = encode({ type: 'query', id: 1, questions: [{ type: 'A', name }], additionals });
  const query = parseQuery(packet);
  if (query === undefined || 'reply' in query) throw new Error('this is a query');
  const answers = Array.from({ length: 60 }, (_, index) => ({ type: 'A', ttl: 0, data: `10.0.0.${index}` }) as const);
  const all = { rcode: 'NOERROR', authoritative: true, answers, authorities: [], additionals: [] } as const;
  const reply = encodeReply(query, all, mostTo('8.8.8.8', packet.length));
  expect(reply.length).toBeLessThanOrEqual(10 * packet.length);
  expect(decode(reply)).toMatchObject({ flag_tc: true });
});
