import type { RegistryFactory, RegistryPlugin } from './registry.ts';

const SCHEME = /^[a-z][a-z0-9+.-]*$/;

/**
 * Makes a registry known by its scheme: the default export of a module for `--plugin`.
 *
 * @throws Error with one sentence when it is none
 */
export function defineRegistry(plugin: RegistryPlugin): RegistryPlugin {
  const { scheme, factory } = Object(plugin) as Partial<Record<keyof RegistryPlugin, unknown>>;
  if (typeof scheme !== 'string' || !SCHEME.test(scheme)) {
    throw new Error('A registry needs a scheme, as in defineRegistry({ scheme: "my-store", factory }).');
  }
  if (typeof factory !== 'function') {
    throw new Error(`The registry "${scheme}" needs a factory: a function of a URI and a context.`);
  }
  return Object.freeze({ scheme, factory: factory as RegistryFactory });
}
