import * as nodeModule from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineRegistry, type RegistryPlugin, SCHEMES } from '../registries/index.ts';

/** What this package exports, by the names that plugins import: beside the program where it is built. */
const isBuilt = !import.meta.url.endsWith('.ts');
const EXPORTS = new Map([
  ['registrator', new URL(isBuilt ? 'index.js' : '../index.ts', import.meta.url).href],
  [
    'registrator/registry-kit',
    new URL(isBuilt ? 'registry-kit.js' : '../registries/registry-kit.ts', import.meta.url).href,
  ],
]);

/**
 * Loads the modules that `--plugin` names. What they import as "registrator" or "registrator/registry-kit" is the one that runs, so that its
 * errors are known for what they are, wherever the module lies.
 *
 * @throws Error with one sentence when a module cannot be loaded, or has no registry
 */
export async function loadPlugins(files: readonly string[]): Promise<readonly RegistryPlugin[]> {
  if (files.length === 0) return [];
  // Node before 22.15 has none: there a plugin's own resolution has to find the package.
  nodeModule.registerHooks?.({
    resolve(specifier, context, next) {
      const url = EXPORTS.get(specifier);
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
    },
  });
  const plugins: RegistryPlugin[] = [];
  for (const file of files) {
    const plugin = await load(file);
    if (SCHEMES.includes(plugin.scheme) || plugins.some(({ scheme }) => scheme === plugin.scheme)) {
      throw new Error(`The plugin ${file} brings the scheme ${plugin.scheme}://, which is taken: give it another one.`);
    }
    plugins.push(plugin);
  }
  return plugins;
}

async function load(file: string): Promise<RegistryPlugin> {
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new Error(`The plugin ${file} cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
  }
  try {
    return defineRegistry(module.default as RegistryPlugin);
  } catch (error) {
    throw new Error(`The plugin ${file} exports no registry by default. ${(error as Error).message}`);
  }
}
