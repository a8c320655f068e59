import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitAtCommas } from '../../src/lib/commas.ts';
import { parseTagTemplate } from '../../src/services/index.ts';
import { deriveSample, only, told } from './snapshots.ts';

const UDP = { published: { '53/udp': ['53'] } };
const tagsOf = (text: string) => only({ labels: { SERVICE_TAGS: text } }).tags;

describe('SERVICE_TAGS', () => {
  test.each<[string, readonly string[]]>([
    ['master,backups', ['master', 'backups']],
    ['a\\,b,,c,', ['a,b', 'c']],
    ['b,a,b', ['b', 'a']],
    [' a , b', [' a ', ' b']],
    ['a\\b', ['a\\b']],
    [',', []],
    ['', []],
  ])('%j', (text, tags) => {
    expect(tagsOf(text)).toEqual(tags);
  });

  test('of the port replace those of the container', () => {
    const env = { SERVICE_TAGS: 'all', SERVICE_80_TAGS: 'plain' };
    const { services } = deriveSample({ published: { '80/tcp': ['1'], '443/tcp': ['2'] }, env });
    expect(services.map(({ tags }) => tags)).toEqual([['plain'], ['all']]);
  });

  test('come out as they went in, commas escaped (property)', () => {
    const tag = fc.string({ minLength: 1 }).filter((text) => !text.endsWith('\\') && !text.includes('\\,'));
    fc.assert(
      fc.property(fc.array(tag), (tags) => {
        expect(splitAtCommas(tags.map((text) => text.replaceAll(',', '\\,')).join(','))).toEqual(tags);
      }),
    );
  });
});

describe('the order', () => {
  test('is own tags, --tags, udp; each once', () => {
    const options = { tags: parseTagTemplate('fleet,a,{{ .Config.Image | toUpper }}') };
    expect(only({ ...UDP, labels: { SERVICE_TAGS: 'b,a' } }, options).tags).toEqual([
      'b',
      'a',
      'fleet',
      'REDIS',
      'udp',
    ]);
    expect(only({ ...UDP, labels: { SERVICE_TAGS: 'udp,b' } }).tags).toEqual(['udp', 'b']);
    expect(only({ published: { '9/sctp': ['9'] } }).tags).toEqual([]);
  });
});

describe('--tags', () => {
  test('a tag that fails on a container is left out, and no other', () => {
    const tags = parseTagTemplate('one,{{ .Config.Nothing }},{{ sIndex 0 .Config.Cmd }}x,four');
    const derivation = deriveSample({}, { tags });
    expect(derivation.services[0]?.tags).toEqual(['one', 'four']);
    expect(told(derivation)).toEqual([
      'tag 2 of --tags fails here: the container has no field "Nothing"; the tag is left out.',
      'tag 3 of --tags fails here: the list has no elements; the tag is left out.',
    ]);
  });

  test('are asked for once a container', () => {
    const tags = parseTagTemplate('{{ .Config.Nothing }}');
    expect(told(deriveSample({ published: { '1/tcp': ['1'], '2/tcp': ['2'] } }, { tags }))).toHaveLength(1);
  });

  test('httpGet: says what to fetch, and goes on once it is there', () => {
    const tags = parseTagTemplate(
      '{{ httpGet "http://meta/zone" | toUpper }},{{ jsonParse (httpGet "http://meta/doc") "a::[1]" }},c',
    );
    const first = deriveSample({}, { tags });
    expect(first.fetches).toEqual(['http://meta/zone', 'http://meta/doc']);
    expect(first.notices).toEqual([]);
    const fetched = new Map([
      ['http://meta/zone', 'b'],
      ['http://meta/doc', '{"a":[1,"x"]}'],
    ]);
    expect(deriveSample({}, { tags }, { fetched })).toMatchObject({
      fetches: [],
      services: [{ tags: ['B', 'x', 'c'] }],
    });
    const failed = new Map([
      ['http://meta/zone', ''],
      ['http://meta/doc', ''],
    ]);
    expect(deriveSample({}, { tags }, { fetched: failed })).toMatchObject({ fetches: [], services: [{ tags: ['c'] }] });
  });

  test('httpGet: takes http and https alone', () => {
    const derivation = deriveSample({}, { tags: parseTagTemplate('{{ httpGet "file:///etc/passwd" }}') });
    expect(derivation.fetches).toEqual([]);
    expect(told(derivation)[0]).toContain('httpGet takes an http or https URL, and this is none');
  });

  test('fetch nothing for a container without services', () => {
    const options = { tags: parseTagTemplate('{{ httpGet "http://meta/" }}') };
    expect(deriveSample({ published: {}, exposed: ['80/tcp'] }, options).fetches).toEqual([]);
  });
});

describe('braces in SERVICE_TAGS', () => {
  test.each<[string, readonly string[]]>([
    ['{{x}}', ['{{x}}']],
    [
      'a,{{ .Name }},{{ httpGet "http://169.254.169.254/" }}',
      ['a', '{{ .Name }}', '{{ httpGet "http://169.254.169.254/" }}'],
    ],
    ['{{ nope "x,y" }},{{', ['{{ nope "x', 'y" }}', '{{']],
  ])('%j is text, as gliderlabs/registrator has it', (text, tags) => {
    const derivation = deriveSample({ labels: { SERVICE_TAGS: text } });
    expect(derivation).toMatchObject({ fetches: [], notices: [], services: [{ tags }] });
  });
});
