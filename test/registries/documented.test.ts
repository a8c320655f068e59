import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createRegistry, SCHEMES } from '../../src/registries/index.ts';

const PAGE = readFileSync(new URL('../../docs/registries.md', import.meta.url), 'utf8');
const TESTS = fileURLToPath(new URL('.', import.meta.url));

/** The URIs in the page's headings, by scheme. */
const examples = new Map(
  PAGE.split('\n')
    .filter((line) => line.startsWith('## '))
    .flatMap((line) => [...line.matchAll(/`(([a-z0-9+-]+):\/\/[^`…]+)`/g)])
    .map(([, uri = '', scheme = '']) => [scheme, uri]),
);

const tests = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && !file.startsWith('documented'))
  .map((file) => readFileSync(`${TESTS}${file}`, 'utf8'))
  .join('\n');

test.each(SCHEMES)(
  '%s:// has a section in docs/registries.md, whose heading has an example of its URI',
  async (scheme) => {
    const uri = examples.get(scheme);
    expect(uri, `a heading with \`${scheme}://…\``).toBeDefined();
    const context = {
      owner: { host: 'node1', engine: 'ENGINE' },
      env: { RFC2136_INSECURE: '1' },
      log: pino({ level: 'silent' }),
    };
    const registry = await createRegistry(uri ?? '', context);
    await registry.close();
  },
);

test.each(SCHEMES)('%s:// has a test', (scheme) => {
  const named = new RegExp(`['"\`]${scheme.replace('+', '\\+')}(://|['"\`])`);
  expect(named.test(tests), `'${scheme}' or ${scheme}:// in test/registries/`).toBe(true);
});
