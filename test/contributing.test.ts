import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const ROOT = new URL('../', import.meta.url);
const PAGE = readFileSync(new URL('CONTRIBUTING.md', ROOT), 'utf8');

/** What the page prints under "The tree": names by how far they are indented. */
function printed(indent: number): string[] {
  const [, section = ''] = /^## The tree$(.*?)^## /ms.exec(PAGE) ?? [];
  const line = new RegExp(`^ {${indent}}(\\S+)`, 'gm');
  return [...section.matchAll(line)].map(([, name = '']) => name).sort();
}

function real(folder: string): string[] {
  return readdirSync(new URL(folder, ROOT), { withFileTypes: true })
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort();
}

test('the tree that is printed is the one that is there', () => {
  const made = ['node_modules/', 'dist/', 'coverage/'];
  expect(printed(4)).toEqual(real('.').filter((name) => /^[^.].*\/$/.test(name) && !made.includes(name)));
  expect(printed(6)).toEqual(real('src/'));
});

test('the walk goes through at most eight files, all of which are there', () => {
  const [, walk = ''] = /^## A walk[^\n]*$(.*?)^## /ms.exec(PAGE) ?? [];
  const files = [...walk.matchAll(/^\d+\. `(\S+)`/gm)].map(([, file = '']) => file);
  expect(files.length).toBeGreaterThan(4);
  expect(files.length).toBeLessThanOrEqual(8);
  expect(files.filter((file) => !existsSync(new URL(file, ROOT)))).toEqual([]);
});
