import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { parseTagTemplate, TemplateSyntaxError } from '../../src/services/index.ts';
import { Budget } from '../../src/template/index.ts';
import { ID, snapshot } from '../services/snapshots.ts';

const CONTAINER: ContainerSnapshot = {
  ...snapshot({
    image: 'acme/redis:7',
    labels: { 'my.ip': '10.7.7.7', a: '1', b: '2' },
    env: { PATH: '/bin', ROLE: 'db', REGION: 'eu' },
    networkMode: 'back',
    networks: { back: { IPAddress: '172.30.7.10' } },
  }),
  Args: ['--port', '6379'],
};

/** What a template prints as one tag: commas in it are written as dots. */
function run(template: string, container = CONTAINER): string {
  const { tags, failures } = parseTagTemplate(template).evaluate(container, undefined, new Budget());
  expect(failures).toEqual([]);
  return tags.join('.');
}

function failure(template: string): string {
  const { tags, failures } = parseTagTemplate(template).evaluate(CONTAINER, undefined, new Budget());
  expect(tags).toEqual([]);
  expect(failures).toHaveLength(1);
  return failures[0]?.reason ?? '';
}

function syntaxError(template: string): TemplateSyntaxError {
  try {
    parseTagTemplate(template);
  } catch (error) {
    if (error instanceof TemplateSyntaxError) return error;
    throw error;
  }
  throw new Error(`${template} parses`);
}

describe('fields', () => {
  test.each([
    ['{{ .Name }}', '/web'],
    ['{{.Config.Image}}', 'acme/redis:7'],
    ['{{ .ID }}', ID],
    ['{{ .Id }}', ID],
    ['{{ .Config.Labels.a }}', '1'],
    ['{{ .Config.Labels.none }}', '<no value>'],
    ['{{ .Config.Labels.none.deeper }}', '<no value>'],
    ['{{ .NetworkSettings.Networks.back.IPAddress }}', '172.30.7.10'],
    ['{{ (index .NetworkSettings.Networks "back").IPAddress }}', '172.30.7.10'],
    ['{{ (index (index .NetworkSettings.Ports "6379/tcp") 0).HostPort }}', '16379'],
    ['{{ (index (index .NetworkSettings.Ports "6379/tcp") 0).HostIP }}', '0.0.0.0'],
    ['{{ .State.Health.Status }}{{ .State.Running }}', 'true'],
    ['{{ .RestartCount }}', '0'],
  ])('%s', (template, output) => {
    expect(run(template)).toBe(output);
  });

  test('one that Docker does not have fails', () => {
    expect(failure('{{ .Nope }}')).toBe('the container has no field "Nope"');
    expect(failure('{{ .Name.First }}')).toBe('there is no field "First" in text');
  });
});

describe('printing', () => {
  test.each([
    ['{{ .Args }}', '[--port 6379]'],
    ['{{ .Config.Labels }}', 'map[a:1 b:2 my.ip:10.7.7.7]'],
    ['{{ .Config.ExposedPorts }}', 'map[6379/tcp:{}]'],
    ['{{ .Config.Volumes }}', 'map[]'],
    ['{{ .Config.Entrypoint }}', '[]'],
    ["{{ true }} {{ 12 }} {{ -3 }} {{ 0x1F }} {{ 1.5 }} {{ 1_000 }} {{ 'a' }}", 'true 12 -3 31 1.5 1000 97'],
    ['{{ "a\\tb\\u00e9\\x41\\101" }}{{ `raw\\t` }}', 'a\tbéAAraw\\t'],
    ['{{ print "a" 1 2 "b" 3 }}', 'a1 2b3'],
    [
      '{{ printf "%s-%d-%v-%q-%05d-%-3s|%x|%.2f|%t%%" "a" 1 .Args "q" 42 "l" "hi" 1.005 true }}',
      'a-1-[--port 6379]-"q"-00042-l  |6869|1.00|true%',
    ],
    ['{{ html "<a>&\\"\'" }}', '&lt;a&gt;&amp;&#34;&#39;'],
    ['{{ js "it\'s <b>" }}', "it\\'s \\u003Cb\\u003E"],
    ['{{ urlquery "a b&c=d\'*" }}', 'a+b%26c%3Dd%27%2A'],
  ])('%s', (template, output) => {
    expect(run(template)).toBe(output);
  });
});

describe('text and trim markers', () => {
  test.each([
    ['a {{- "b" -}} c', 'abc'],
    ['a {{ "b" }} c', 'a b c'],
    ['a {{/* a comment }} */}} b', 'a  b'],
    ['a {{- /* a comment */ -}} b', 'ab'],
    ['{{ -3 }}{{- -3 }}', '-3-3'],
    ['{{ "}}" }}{{"{{"}}', '}}{{'],
    ['{{\n  .Name\n}}', '/web'],
    ['} }} {', '} }} {'],
  ])('%j', (template, output) => {
    expect(run(template)).toBe(output);
  });
});

describe('control', () => {
  test.each([
    ['{{ if .Config.Labels.a }}yes{{ else }}no{{ end }}', 'yes'],
    ['{{ if .Config.Labels.none }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ if 0 }}a{{ else if eq .Name "/web" }}b{{ else }}c{{ end }}', 'b'],
    ['{{ if 0 }}a{{ else if 0 }}b{{ else }}c{{ end }}d', 'cd'],
    ['{{ if .State.Health }}struct{{ end }}', 'struct'],
    ['{{ if .Config.Volumes }}some{{ else }}empty{{ end }}', 'empty'],
    ['{{ with .Config }}{{ .Image }}{{ $.Name }}{{ end }}', 'acme/redis:7/web'],
    ['{{ with .Config.Labels.none }}a{{ else }}{{ .Name }}{{ end }}', '/web'],
    ['{{ with $x := "v" }}{{ . }}{{ $x }}{{ end }}', 'vv'],
    ['{{ range .Args }}<{{ . }}>{{ end }}', '<--port><6379>'],
    ['{{ range $i, $arg := .Args }}{{ $i }}={{ $arg }};{{ end }}', '0=--port;1=6379;'],
    ['{{ range $arg := .Args }}{{ $arg }};{{ end }}', '--port;6379;'],
    ['{{ range $k, $v := .Config.Labels }}{{ $k }}:{{ $v }} {{ end }}', 'a:1 b:2 my.ip:10.7.7.7 '],
    ['{{ range .Config.Cmd }}x{{ else }}none{{ end }}', 'none'],
    ['{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ $x := "c" }}{{ end }}{{ $x }}', 'b'],
    ['{{ $c := .Config }}{{ $c.Image }}', 'acme/redis:7'],
  ])('%s', (template, output) => {
    expect(run(template)).toBe(output);
  });

  test('variables reach the tags that follow', () => {
    const { tags } = parseTagTemplate('{{ $x := toUpper "a" }}x{{ $x }},y{{ $x }}').evaluate(
      CONTAINER,
      undefined,
      new Budget(),
    );
    expect(tags).toEqual(['xA', 'yA']);
  });

  test('a variable whose tag failed has no value', () => {
    const { tags, failures } = parseTagTemplate('{{ $x := .Nope }},{{ $x }},z').evaluate(
      CONTAINER,
      undefined,
      new Budget(),
    );
    expect(tags).toEqual(['z']);
    expect(failures.map(({ tag, reason }) => `${tag}: ${reason}`)).toEqual([
      '1: the container has no field "Nope"',
      '2: the variable "$x" has no value',
    ]);
  });
});

describe('built-in functions', () => {
  test.each([
    ['{{ and 1 "" 2 }}|{{ and 1 2 }}|{{ or "" 0 "x" }}|{{ not 1 }}', '|2|x|false'],
    ['{{ or true (index .Args 9) }}', 'true'],
    [
      '{{ eq "a" "b" "a" }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1 2 }}',
      'true true true true true false',
    ],
    ['{{ eq .Config.Labels.none "x" }}', 'false'],
    ['{{ len .Args }} {{ len "é" }} {{ len .Config.Labels }} {{ len .Config.Cmd }}', '2 2 3 0'],
    ['{{ index .Config.Labels "my.ip" }}{{ index .Config.Labels "none" }}', '10.7.7.7'],
    ['{{ index .Args 1 }} {{ index "abc" 1 }}', '6379 98'],
    ['{{ slice "redis" 1 3 }} {{ slice .Args 1 }}', 'ed [6379]'],
  ])('%s', (template, output) => {
    expect(run(template)).toBe(output);
  });

  test.each([
    ['{{ index .Args 2 }}', 'the index 2 is out of range'],
    ['{{ index .Config.Labels 1 }}', 'the key of a map has to be text and is a number'],
    ['{{ slice "abc" 2 9 }}', 'the slice 2 to 9 is out of range'],
    ['{{ lt "a" 1 }}', 'text and a number cannot be compared'],
    ['{{ len 3 }}', 'a number has no length'],
    ['{{ printf "%d" "x" }}', 'the value of %d has to be a whole number and is text'],
    ['{{ printf "%s" }}', 'printf has no value for "%s"'],
    ['{{ printf "x" 1 }}', 'printf has 1 more values than verbs'],
    ['{{ printf "%9999s" "x" }}', 'printf makes no field of more than 100 characters'],
    ['{{ range .Name }}{{ end }}', 'range wants a list or a map and gets text'],
  ])('%s fails', (template, reason) => {
    expect(failure(template)).toBe(reason);
  });
});

describe('registrator’s functions', () => {
  test.each([
    ['{{ strSlice "redis" 2 }}', 'dis'],
    ['{{ strSlice "redis" 9 }}', 'redis'],
    ['{{ strSlice "redis" 0 2 }}', 're'],
    ['{{ strSlice "redis" 1 3 }}', 'ed'],
    ['{{ strSlice "redis" 3 1 }}', 'is'],
    ['{{ strSlice "redis" 1 9 }}', 'redis'],
    ['{{ strSlice .ID 0 0 }}', ''],
    ['{{ strSlice .ID 0 12 }}', ID.slice(0, 12)],
    [
      '{{ sIndex 0 .Args }} {{ sIndex -1 .Args }} {{ sIndex 9 .Args }} {{ sIndex -9 .Args }}',
      '--port 6379 6379 --port',
    ],
    ['{{ mIndex "a" .Config.Labels }}{{ mIndex "none" .Config.Labels }}', '1'],
    ['{{ toUpper "aé" }}{{ toLower "AÉ" }}', 'AÉaé'],
    ['{{ replace -1 "a" "b" "aXaXa" }} {{ replace 2 "a" "b" "aXaXa" }} {{ replace 0 "a" "b" "a" }}', 'bXbXb bXbXa a'],
    ['{{ replace -1 "" "-" "ab" }} {{ replace 1 "" "-" "ab" }}', '-a-b- -ab'],
    ['{{ join "+" .Args }}', '--port+6379'],
    ['{{ split "/" "a/b" }} {{ split "" "ab" }}', '[a b] [a b]'],
    ['{{ splitIndex 1 ":" .Config.Image }} {{ splitIndex -2 ":" "a:b" }} {{ splitIndex 9 ":" "a:b" }}', '7 a b'],
    ['{{ matchFirstElement "^R" .Config.Env }}', 'ROLE=db'],
    ['{{ matchFirstElement "^X" .Config.Env }}', ''],
    ['{{ matchAllElements "(?i)^r" .Config.Env }}', '[ROLE=db REGION=eu]'],
    ['{{ matchAllElements `(?P<k>^PATH)|\\Aeu\\z` .Config.Env }}', '[PATH=/bin]'],
    ['{{ matchAllElements `^[[:alpha:]]+=\\pL+$` .Config.Env }}', '[ROLE=db REGION=eu]'],
    ['{{ matchFirstElement `x(?i:role)|ro(?i)LE` (split "," "ROLE") }}', ''],
    ['{{ .Config.Env | matchFirstElement "^REGION=" | splitIndex 1 "=" | toUpper }}', 'EU'],
    ['{{ jsonParse `{"a":{"b":[1,"x",{"c":null}]}}` "a::b::[1]" }}', 'x'],
    ['{{ jsonParse `{"a":{"b":[1,"x"]}}` "a::b" }}', '[1,"x"]'],
    [
      '{{ jsonParse `{"a":1}` "a" }}{{ jsonParse `{"a":1}` "b" }}{{ jsonParse `broken` "a" }}{{ jsonParse `[[7]]` "[0]::[0]" }}',
      '17',
    ],
  ])('%s', (template, output) => {
    expect(run(template)).toBe(output.replaceAll(',', '.'));
  });

  test.each([
    ['{{ strSlice "redis" -1 }}', 'strSlice takes no negative index'],
    ['{{ sIndex 0 .Config.Cmd }}', 'the list has no elements'],
    ['{{ toUpper 1 }}', 'the text has to be text and is a number'],
    ['{{ toUpper .Config.Labels.none }}', 'the text has to be text and is nothing'],
    ['{{ join "," .Name }}', 'the list has to be a list and is text'],
    ['{{ mIndex "a" .Args }}', 'the map is a list'],
    ['{{ matchFirstElement "(" .Args }}', '"(" is no regular expression'],
    ['{{ httpGet "http://x/" }}', 'httpGet is for --tags only'],
  ])('%s fails', (template, reason) => {
    expect(failure(template)).toBe(reason);
  });

  test('the tags of gliderlabs/registrator’s own example', () => {
    const template = parseTagTemplate(
      'fleet,{{ .Config.Image | toUpper }},{{ strSlice .ID 0 0 }}{{ index .Config.Labels "my.ip" }}',
    );
    expect(template.evaluate(CONTAINER, undefined, new Budget()).tags).toEqual(['fleet', 'ACME/REDIS:7', '10.7.7.7']);
    expect(template.evaluate(snapshot(), undefined, new Budget()).tags).toEqual(['fleet', 'REDIS']);
  });

  test('what an action prints may be several tags', () => {
    const { tags } = parseTagTemplate('{{ join "," .Args }},x\\,y').evaluate(CONTAINER, undefined, new Budget());
    expect(tags).toEqual(['--port', '6379', 'x,y']);
  });
});

describe('a template that does not parse', () => {
  test.each([
    ['ab{{ ', 3, 'the action {{ is not closed by }}'],
    ['{{ }}', 4, 'a value is missing'],
    ['{{ nope .Name }}', 4, 'there is no function "nope"'],
    ['{{ .Name | .Id }}', 12, 'what follows | must be a function'],
    ['{{ .Name | }}', 12, 'a value is missing'],
    ['{{ .Name 1 }}', 10, 'only a function takes arguments'],
    ['{{ toUpper }}', 4, 'toUpper takes 1 arguments and has 0'],
    ['{{ "a" | toUpper "b" }}', 10, 'toUpper takes 1 arguments and has 2'],
    ['{{ strSlice }}', 4, 'strSlice takes 1 to 3 arguments and has 0'],
    ['{{ eq 1 }}', 4, 'eq takes 2 or more arguments and has 1'],
    ['{{ "a }}', 4, 'the quote " is not closed'],
    ['{{ "\\q" }}', 4, '"\\"\\\\q\\"" is no value'],
    ["{{ 'ab' }}", 4, '"\'ab\'" is no value'],
    ['{{ "a".B }}', 7, 'a literal has no fields'],
    ['{{ $x }}', 4, 'the variable "$x" is not declared'],
    ['{{ $x := $x }}', 10, 'the variable "$x" is not declared'],
    ['{{ if 1 }}{{ $x := 1 }}{{ end }}{{ $x }}', 36, 'the variable "$x" is not declared'],
    ['{{ $x = 1 }}', 4, 'the variable "$x" is not declared'],
    ['{{ (toUpper "a" }}', 17, 'a ) is missing'],
    ['{{ if 1 }}a', 4, '{{if}} is not closed by {{end}}'],
    ['{{ if 1 }}a{{ else }}b', 4, '{{if}} is not closed by {{end}}'],
    ['a{{ end }}', 2, '{{end}} has no block to belong to'],
    ['{{ else }}', 1, '{{else}} has no block to belong to'],
    ['{{ define "x" }}{{ end }}', 4, '{{define}} is not supported'],
    ['{{ template "x" }}', 4, '{{template}} is not supported'],
    ['{{ a % b }}', 6, '"%" has no meaning'],
    ['{{ .Name . .Id }}', 10, 'only a function takes arguments'],
  ])('%j', (template, column, what) => {
    const error = syntaxError(template);
    expect(error.message).toBe(`at column ${column}, ${what}`);
    expect(error.column).toBe(column);
  });

  test('is nested too deeply, or too long', () => {
    expect(syntaxError(`{{ ${'('.repeat(1000)}1 }}`).message).toMatch(/nested too deeply/);
    expect(syntaxError('{{ if 1 }}'.repeat(1000)).message).toMatch(/nested too deeply/);
    expect(syntaxError('a'.repeat(20_000)).message).toMatch(/longer than 16384 characters/);
  });

  test('is the only thing that parsing throws (property)', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom(
        '{{',
        '}}',
        '{{-',
        '-}}',
        ' ',
        '/*',
        '*/',
        '(',
        ')',
        '|',
        ':=',
        '=',
        ',',
        '.',
        '.Name',
        '$',
        '$x',
        '"a"',
        '`',
        "'",
        '\\',
      ),
      fc.constantFrom(
        'if',
        'else',
        'end',
        'range',
        'with',
        'toUpper',
        'index',
        'printf',
        'eq',
        'nil',
        'true',
        '1',
        '-1',
        '0x',
        'httpGet',
        'replace',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = pieces.join('');
        try {
          const { tags } = parseTagTemplate(text).evaluate(CONTAINER, undefined, new Budget());
          expect(tags).not.toContain('');
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateSyntaxError);
          expect((error as TemplateSyntaxError).column).toBeGreaterThan(0);
        }
      }),
      { numRuns: 2_000 },
    );
  }, 30_000);
});

describe('work is bounded', () => {
  const labels = { long: 'a'.repeat(5_000), bomb: `${'a'.repeat(60)}!` };
  const hostile = snapshot({ labels });
  const run = (template: string, container = hostile) =>
    parseTagTemplate(template).evaluate(container, undefined, new Budget());
  const many = (count: number) =>
    snapshot({ labels: Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, 'v'])) });

  test.each([
    ['loops', '{{ range split "" $.Config.Labels.long }}{{ range split "" $.Config.Labels.long }}x{{ end }}{{ end }}'],
    [
      'loops with nothing in them',
      '{{ range split "" .Config.Labels.long }}{{ range $.Args }}{{ end }}{{ end }}'.repeat(99),
    ],
    ['many tags', '{{ printf "%s" .Config.Labels.long }},'.repeat(400)],
    ['a regular expression that is written out long', '{{ matchFirstElement "((a|b){900})" .Config.Env }},'.repeat(30)],
    ['a regular expression over much text', '{{ matchFirstElement "(.*a.{9}){99}$" (split "," .Config.Labels.long) }}'],
    ['classes of Unicode', `{{ matchFirstElement "${'\\\\pL'.repeat(100)}" .Config.Env }}`],
  ])('%s', (_, template) => {
    expect(run(`first,${template},last`)).toMatchObject({ exhausted: true, failures: [] });
  });

  test('two loops over a container’s thousands of labels', () => {
    const template = '{{ range .Config.Labels }}{{ range $.Config.Labels }}{{ end }}{{ end }}';
    expect(run(`first,${template},last`, many(10_000))).toMatchObject({ tags: ['first'], exhausted: true });
    expect(run(`${template}all`, many(100))).toMatchObject({ tags: ['all'], exhausted: false });
  });

  test('texts', () => {
    const grow = '{{ $x := .Config.Labels.long }}{{ $x = replace -1 "a" $x $x }}';
    const reasons = ({ failures }: ReturnType<typeof run>) => failures.map(({ reason }) => reason);
    expect(reasons(run(`${grow}${grow}`))).toEqual(['it makes a text of more than 262144 characters']);
    expect(reasons(run('{{ join .Config.Labels.long (split "" .Config.Labels.long) }}'))).toEqual([
      'it makes a text of more than 262144 characters',
    ]);
    expect(reasons(run('{{ range split "" .Config.Labels.long }}{{ $.Config.Labels.long }}{{ end }}'))).toEqual([
      'it prints more than 65536 characters',
    ]);
  });

  test('a regular expression that others would try for ever is answered', () => {
    const bomb = '{{ matchFirstElement "(a+)+$" (split "," .Config.Labels.bomb) }}';
    expect(run(`${bomb}none`)).toMatchObject({ tags: ['none'], failures: [], exhausted: false });
  });

  test('a regular expression nested thousands deep is none', () => {
    const nested = `${'('.repeat(2_000)}a${')'.repeat(2_000)}`;
    const [failure] = run(`{{ matchFirstElement "${nested}" .Config.Env }}`).failures;
    expect(failure?.reason).toMatch(/is no regular expression$/);
  });
});
