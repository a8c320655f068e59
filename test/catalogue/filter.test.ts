import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ApiError } from '../../src/catalogue/http/error.ts';
import { parseFilter } from '../../src/catalogue/http/filter.ts';

const ENTRY = {
  Service: { Service: 'redis', Tags: ['master', 'eu'], Port: 6379, Meta: { version: '7', empty: '' }, Address: '' },
  Checks: [{ Status: 'passing' }, { Status: 'warning' }],
  Node: { Meta: {} },
  EnableTagOverride: false,
};

test.each([
  ['Service.Service == redis', true],
  ['Service.Service == "redis"', true],
  ['Service.Service==`redis`', true],
  ['Service.Service != "redis"', false],
  ['Service.Port == 6379', true],
  ['Service.Meta.version == "7"', true],
  ['Service.Meta.none == "7"', false],
  ['Service.Meta.none != "7"', true],
  ['EnableTagOverride == false', true],
  ['"master" in Service.Tags', true],
  ['"asia" in Service.Tags', false],
  ['"asia" not in Service.Tags', true],
  ['Service.Tags contains eu', true],
  ['Service.Tags not contains "eu"', false],
  ['version in Service.Meta', true],
  ['"none" in Service.Meta', false],
  ['"edi" in Service.Service', true],
  ['Service.Tags is empty', false],
  ['Service.Tags is not empty', true],
  ['Service.Address is empty', true],
  ['Node.Meta is empty', true],
  ['Service.Meta.empty is empty', true],
  ['Checks.Status == "passing"', true],
  ['Checks.Status == "critical"', false],
  ['not Service.Port == 1', true],
  ['Service.Port == 1 or Service.Port == 6379', true],
  ['Service.Port == 6379 and "asia" in Service.Tags', false],
  ['Service.Port == 1 and Service.Port == 2 or Service.Port == 6379', true],
  ['Service.Port == 1 and (Service.Port == 2 or Service.Port == 6379)', false],
  ['Service.Service == "re\\"dis"', false],
])('%s is %s', (filter, expected) => {
  expect(parseFilter(filter)(ENTRY)).toBe(expected);
});

test.each([
  ['', 'The filter ends too early.'],
  ['Service.Port', 'The filter ends too early.'],
  ['Service.Port ==', 'The filter ends too early.'],
  ['Service.Port == 1 x', 'The filter is wrong at "x" (character 19).'],
  ['(Service.Port == 1', 'The filter ends too early.'],
  ['Service.Port = 1', 'The filter is wrong at character 14.'],
  ['Service.Port is full', 'The filter is wrong at "full" (character 17).'],
  ['a matches "b"', 'The filter operator "matches" is not supported here.'],
  ['a == "\\q"', 'The filter has a string that is not quoted right at character 6.'],
  [`${'not '.repeat(50)}a == 1`, 'The filter is nested too deeply.'],
  ['a'.repeat(3000), 'The filter is longer than 2048 characters.'],
])('%s is refused', (filter, message) => {
  expect(() => parseFilter(filter)).toThrow(message);
});

test('a field that an answer does not have is told of, as Consul tells', () => {
  expect(() => parseFilter('Foo.Bar == 1')(ENTRY)).toThrow('Selector "Foo.Bar" is not valid');
  expect(() => parseFilter('__proto__ is empty')(ENTRY)).toThrow('is not valid');
});

test('any text is a filter or is refused in words', () => {
  const word = fc.constantFrom(
    'Service.Service',
    'redis',
    '"a"',
    '==',
    '!=',
    'in',
    'not',
    'and',
    'or',
    '(',
    ')',
    'is',
    'empty',
    'contains',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 60 }),
        fc.array(word, { maxLength: 12 }).map((words) => words.join(' ')),
      ),
      (text) => {
        try {
          expect(typeof parseFilter(text)(ENTRY)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
