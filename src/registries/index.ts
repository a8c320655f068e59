import type { Registry, RegistryContext, RegistryFactory, RegistryPlugin } from './registry.ts';
import { refuseSecrets } from './secrets.ts';

export { defineRegistry } from './plugin.ts';
export * from './registry.ts';

/** The schemes, each with the module that speaks it: loaded only when asked for. A new registry is a line here. */
const FACTORIES: Readonly<Record<string, () => Promise<RegistryFactory>>> = {
  memory: async () => (await import('./memory.ts')).memory,
  consul: async () => (await import('./consul/consul.ts')).consul,
  'consul-tls': async () => (await import('./consul/consul.ts')).consul,
  'consul-unix': async () => (await import('./consul/consul.ts')).consul,
  consulkv: async () => (await import('./consul/kv.ts')).consulKv,
  'consulkv-unix': async () => (await import('./consul/kv.ts')).consulKv,
  etcd: async () => (await import('./etcd/etcd.ts')).etcd,
  'etcd+tls': async () => (await import('./etcd/etcd.ts')).etcd,
  // What fayrus/registrator calls etcd v3.
  etcd2: async () => (await import('./etcd/etcd.ts')).etcd,
  'etcd-legacy': async () => (await import('./etcd/legacy.ts')).etcdLegacy,
  'etcd-legacy+tls': async () => (await import('./etcd/legacy.ts')).etcdLegacy,
  skydns2: async () => (await import('./etcd/skydns.ts')).skydns2,
  'skydns2+tls': async () => (await import('./etcd/skydns.ts')).skydns2,
  coredns: async () => (await import('./etcd/skydns.ts')).coredns,
  'coredns+tls': async () => (await import('./etcd/skydns.ts')).coredns,
  rfc2136: async () => (await import('./rfc2136/rfc2136.ts')).rfc2136,
  zookeeper: async () => (await import('./zookeeper/zookeeper.ts')).zooKeeper,
};

export const SCHEMES: readonly string[] = Object.keys(FACTORIES);

/** Throws an Error with one sentence when the URI is none of a registry. */
export async function createRegistry(
  uri: string,
  context: RegistryContext,
  plugins: readonly RegistryPlugin[] = [],
): Promise<Registry> {
  const given = /^([a-z0-9+.-]+):/i.exec(uri)?.[1] ?? '';
  const scheme = given.toLowerCase();
  // Every registry is given its scheme as it is written here: none has to think of `CONSUL://`.
  const plainUri = scheme + uri.slice(given.length);
  const plugin = plugins.find((one) => one.scheme === scheme);
  if (plugin !== undefined) return plugin.factory(plainUri, context);
  const load = Object.hasOwn(FACTORIES, scheme) ? FACTORIES[scheme] : undefined;
  if (load === undefined) {
    const meant = scheme === '' ? 'The registry URI has no scheme' : `There is no registry "${scheme.slice(0, 40)}"`;
    const known = [...SCHEMES, ...plugins.map((one) => one.scheme)];
    throw new Error(`${meant}: it must begin with one of ${known.map((name) => `${name}://`).join(', ')}.`);
  }
  refuseSecrets(scheme, plainUri);
  return (await load())(plainUri, context);
}
