import { describe, expect, test } from 'vitest';
import { createLogger } from '../../src/lib/log/index.ts';
import { createRegistry, type RegistryContext, SCHEMES } from '../../src/registries/index.ts';

const context: RegistryContext = {
  owner: { host: 'node1', engine: 'E' },
  env: { RFC2136_INSECURE: '1' },
  log: await createLogger('silent', 'json'),
};

/** What follows the scheme, where it has to be more than a host and a port. */
const rest = (scheme: string) => {
  if (scheme.endsWith('-unix')) return '/run/consul.sock';
  return scheme.startsWith('memory') ? '127.0.0.1:1234' : '192.0.2.1:1234/services';
};

describe('a scheme in capitals', () => {
  test.each(SCHEMES)('%s:// is the same registry, at the same address', async (scheme) => {
    const uri = `${scheme.toUpperCase()}://${rest(scheme)}`;
    const registry = await createRegistry(uri, context);
    const same = await createRegistry(`${scheme}://${rest(scheme)}`, context);
    expect(registry.name).toBe(same.name);
    expect(registry.name).toContain(scheme.endsWith('-unix') ? '/run/consul.sock' : ':1234');
    await Promise.all([registry.close(), same.close()]);
  });

  test('of a plugin', async () => {
    const uris: string[] = [];
    const memory = await createRegistry('memory://', context);
    const factory = async (uri: string) => {
      uris.push(uri);
      return memory;
    };
    await createRegistry('My-Store://Host/Path', context, [{ scheme: 'my-store', factory }]);
    expect(uris).toEqual(['my-store://Host/Path']);
    await memory.close();
  });
});
