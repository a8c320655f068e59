import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { humanLine } from '../../../src/lib/log/logger.ts';

describe('a log line for people', () => {
  it('is the message and its fields', () => {
    const line = { level: 'info', time: 1, msg: 'registered', service: 'redis', container: 'my app', services: 3 };
    expect(humanLine(line, 'msg')).toBe('registered  service=redis container="my app" services=3');
    expect(humanLine({ level: 'info', msg: 'alone' }, 'msg')).toBe('alone');
  });

  it('shows what would move the cursor instead of doing it', () => {
    expect(humanLine({ msg: 'a\u001b[2Jb', service: 'x\nlevel=fatal' }, 'msg')).toBe(
      'a\\u{1b}[2Jb  service="x\\nlevel=fatal"',
    );
  });

  it('is one line of printable characters, whatever the names are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (msg, service) => {
        expect(humanLine({ msg, service }, 'msg')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});
