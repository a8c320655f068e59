import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadPlugins } from '../../src/cli/plugins.ts';
import { defineRegistry } from '../../src/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'registrator-plugins-'));
afterAll(() => rmSync(dir, { recursive: true }));

function module(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}

const factory = async () => {
  throw new Error('unused');
};

describe('a plugin', () => {
  it('is loaded by its path', async () => {
    const file = module('good.mjs', 'export default { scheme: "my-store", factory: async () => ({}) };');
    expect(await loadPlugins([file])).toMatchObject([{ scheme: 'my-store' }]);
  });

  it.each([
    ['none.mjs', 'export const x = 1;', /none\.mjs exports no registry by default\. A registry needs a scheme/],
    ['no-factory.mjs', 'export default { scheme: "a" };', /"a" needs a factory/],
    ['taken.mjs', 'export default { scheme: "consul", factory() {} };', /the scheme consul:\/\/, which is taken/],
    ['broken.mjs', 'throw new Error("boom");', /broken\.mjs cannot be loaded: boom/],
  ])('that is none is refused with a sentence: %s', async (name, text, words) => {
    await expect(loadPlugins([module(name, text)])).rejects.toThrow(words);
  });

  it('that is not there is refused, too', async () => {
    await expect(loadPlugins([join(dir, 'nowhere.js')])).rejects.toThrow(/nowhere\.js cannot be loaded/);
  });
});

describe('defineRegistry', () => {
  it('takes schemes as URIs have them', () => {
    expect(defineRegistry({ scheme: 'a+b.c-1', factory }).scheme).toBe('a+b.c-1');
    for (const scheme of ['', 'A', '1a', 'a b', 'a://'])
      expect(() => defineRegistry({ scheme, factory })).toThrow(/scheme/);
  });
});
