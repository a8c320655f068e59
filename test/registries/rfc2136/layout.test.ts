import { expect, it } from 'vitest';
import { allOf, markOf, recordsOf } from '../../../src/registries/rfc2136/layout.ts';
import { textOf } from '../../../src/registries/rfc2136/message.ts';
import type { Service } from '../../../src/services/index.ts';
import { serviceOf } from '../service.ts';

const owner = { host: 'node1', engine: 'E' };

function texts(service: Service, tags = false): string[] {
  const layout = { zone: 'services.example', tags };
  const records = recordsOf(markOf(service, owner, layout), layout);
  return allOf(records)
    .filter(({ type }) => type !== 'TXT')
    .map((record) => textOf(record).replaceAll('.services.example', ''));
}

it('an instance has its own name with an address and an SRV record, and an address at the name of its service', () => {
  expect(texts(serviceOf(80, { id: 'primary', weight: 5 }))).toEqual([
    'primary.web A 10.1.2.3',
    '_web._tcp SRV 1 5 80 primary.web',
    'web A 10.1.2.3',
    '_10-1-2-3.web PTR primary.web',
  ]);
});

it('an IPv6 address is an AAAA record, however it is written', () => {
  expect(texts(serviceOf(53, { id: 'x', protocol: 'udp', address: '2001:DB8:0::1' }))).toEqual([
    'x.web AAAA 2001:db8::1',
    '_web._udp SRV 1 1 53 x.web',
    'web AAAA 2001:db8::1',
    '_2001-db8--1.web PTR x.web',
  ]);
});

it('tags have names only where they are asked for, each name once', () => {
  const service = serviceOf(80, { id: 'x', tags: ['Blue', 'blue', 'a b'] });
  expect(texts(service)).toEqual(texts(serviceOf(80, { id: 'x' })));
  expect(texts(service, true).slice(4)).toEqual([
    'blue.web A 10.1.2.3',
    '_10-1-2-3.blue.web PTR x.web',
    'a-b-8787cc9d.web A 10.1.2.3',
    '_10-1-2-3.a-b-8787cc9d.web PTR x.web',
  ]);
});

it('labels are those of DNS, whatever the name and the ID', () => {
  for (const name of ['x'.repeat(63), 'x'.repeat(300), 'a.b', '', '_', 'Ünïcode']) {
    for (const text of texts(serviceOf(80, { name, id: name }))) {
      const [owned = '', ...data] = text.split(' ');
      expect(
        `${owned}.${data.at(-1)}`.split('.').every((label) => label.length > 0 && label.length < 64),
        text,
      ).toBe(true);
    }
  }
});

it.each([
  [{ address: 'db.example.com' }, 'no IP address'],
  [{ address: 'fe80::1%eth0' }, 'no IP address'],
] as const)('%j is refused: %s', (change, words) => {
  expect(() => texts(serviceOf(80, change))).toThrow(words);
});

it('a name that would be longer than DNS allows is refused', () => {
  const layout = { zone: `${'z'.repeat(60)}.${'z'.repeat(60)}.${'z'.repeat(60)}`, tags: false };
  const service = serviceOf(80, { id: 'i'.repeat(63), name: 'n'.repeat(63) });
  expect(() => recordsOf(markOf(service, owner, layout), layout)).toThrow('longer than the 253 characters');
});
