import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import type { RegistryFactory } from '../../src/registries/index.ts';
import { conformance } from './conformance.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const work = await mkdtemp(join(tmpdir(), 'registrator-contributing-'));
const [example = '', wiring = ''] = await codeOf(join(root, 'CONTRIBUTING.md'));
const { directory } = await load<{ directory: RegistryFactory }>('directory.ts', example);

afterAll(() => rm(work, { recursive: true }));

/** The page's `ts` blocks. */
async function codeOf(page: string): Promise<string[]> {
  const text = await readFile(page, 'utf8');
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** Imports code as if it were a file of src/registries. */
async function load<T>(name: string, code: string): Promise<T> {
  const file = join(work, name);
  const absolute = (path: string) => fileURLToPath(new URL(path, new URL('src/registries/', `file://${root}`)));
  await writeFile(
    file,
    code.replace(/ from '(\.[^']*)'/g, (_, path: string) => ` from '${absolute(path)}'`),
  );
  return (await import(/* @vite-ignore */ file)) as T;
}

test('the example has the right types', { timeout: 60_000 }, async () => {
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(root, 'node_modules/@types')], rewriteRelativeImportExtensions: false },
    include: [],
    files: [join(work, 'directory.ts')],
  };
  await writeFile(join(work, 'package.json'), '{ "type": "module" }');
  await writeFile(join(work, 'tsconfig.json'), JSON.stringify(config));
  const check = promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['--noEmit', '-p', work]);
  const complaints = await check.then(
    () => '',
    (error: Error & { stdout?: string }) => error.stdout || error.message,
  );
  expect(complaints).toBe('');
});

test('a wrong URI is refused', async () => {
  const context = { owner: { host: 'node1', engine: 'ENGINE' }, env: {}, log: undefined as never };
  await expect(directory('directory://relative', context)).rejects.toThrow('must be directory:///absolute/path');
});

// The page's wiring, as it stands there.
const wire = new Function('conformance', 'directory', 'mkdtemp', 'join', 'tmpdir', 'rm', wiring);
wire(conformance, directory, mkdtemp, join, tmpdir, rm);
