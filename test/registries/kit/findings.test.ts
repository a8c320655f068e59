import { expect, it } from 'vitest';
import { Findings } from '../../../src/registries/kit/index.ts';

const entry = (id: string, address = '10.0.0.9') => ({
  key: `/${id}`,
  content: '',
  id,
  name: 'web',
  address,
  port: 80,
});

it('sorts what a registry holds into our own, who holds the rest, and what a cloned machine has', () => {
  const findings = new Findings({ host: 'a', engine: 'E', addresses: () => new Set(['10.0.0.1']) });
  expect(findings.add(entry('a:web:80'), { mark: undefined })).toBe(true);
  expect(findings.add(entry('mine'), { mark: { host: 'a', engine: 'E' } })).toBe(true);
  expect(findings.add(entry('moved', '10.0.0.1'), { mark: { host: 'old', engine: 'E' } })).toBe(true);
  expect(findings.add(entry('x'), { mark: { host: 'b', engine: 'E' } })).toBe(false);
  expect(findings.add(entry('y'), { mark: { host: 'b', engine: 'E' } })).toBe(false);
  expect(findings.add(entry('z'), { mark: undefined })).toBe(false);
  expect(findings.own.map(({ id }) => id)).toEqual(['a:web:80', 'mine', 'moved']);
  expect([...findings.holders]).toEqual([
    ['/x', 'registrator on host "b"'],
    ['/y', 'registrator on host "b"'],
    ['/z', 'somebody without a mark of registrator (an operator, an application)'],
  ]);
  expect([...findings.twins]).toEqual([['b', 2]]);
});
