import { expect, it } from 'vitest';
import { ReplyMemo } from '../../src/catalogue/dns/memo.ts';

const query = (id: number, rest: string) => Buffer.concat([Buffer.from([id >> 8, id & 255]), Buffer.from(rest)]);

it('a reply is given again to the same question, with the ID of who asks, until the catalogue changes', () => {
  const memo = new ReplyMemo();
  expect(memo.find(query(1, 'redis'), 7)).toBeUndefined();
  memo.keep(query(1, 'redis'), query(1, 'is here'));
  expect(memo.find(query(0xabcd, 'redis'), 7)).toEqual(query(0xabcd, 'is here'));
  expect(memo.find(query(1, 'REDIS'), 7)).toBeUndefined();
  expect(memo.find(query(1, 'redis'), 8)).toBeUndefined();
  expect(memo.find(query(1, 'redis'), 7)).toBeUndefined();
});

it('a reply handed out is a copy: what its receiver does to it changes no other', () => {
  const memo = new ReplyMemo();
  memo.find(query(1, 'q'), 1);
  memo.keep(query(1, 'q'), query(1, 'answer'));
  memo.find(query(2, 'q'), 1)?.fill(0);
  expect(memo.find(query(3, 'q'), 1)).toEqual(query(3, 'answer'));
});

it('it holds no more than 1,000 replies, and none to a query of over 300 bytes', () => {
  const memo = new ReplyMemo();
  memo.find(query(1, ''), 1);
  for (let n = 0; n < 1_500; n += 1) memo.keep(query(1, `q${n}`), query(1, 'a'));
  const kept = Array.from({ length: 1_500 }, (_, n) => memo.find(query(1, `q${n}`), 1)).filter(Boolean);
  expect(kept).toHaveLength(1_000);
  const other = new ReplyMemo();
  other.find(query(1, ''), 1);
  other.keep(query(1, 'x'.repeat(400)), query(1, 'a'));
  expect(other.find(query(1, 'x'.repeat(400)), 1)).toBeUndefined();
});
