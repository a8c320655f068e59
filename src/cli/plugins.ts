import * as nodeModule from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineRegistry, type RegistryPlugin, SCHEMES } from '../registries/index.ts';

/** This package's front door: one folder up in the sources, beside the program where it is built. */
const INDEX = new URL(import.meta.url.endsWith('.ts') ? '../index.ts' : 'index.js', import.meta.url).href;

/**
 * Loads the modules that `--plugin` names. Whatever they import as "registrator" is the one that runs, so that its
 * errors are known for what they are, wherever the module lies.
 *
 * @throws Error with one sentence when a module cannot be loaded, or has no registry
 */
export async function loadPlugins(files: readonly string[]): Promise<readonly RegistryPlugin[]> {
  if (files.length === 0) return [];
  // Node before 22.15 has none: there a plugin's own resolution has to find the package.
  nodeModule.registerHooks?.({
    resolve: (specifier, context, next) =>
      specifier === 'registrator' ? { url: INDEX, shortCircuit: true } : next(specifier, context),
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
