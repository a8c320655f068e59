import { freemem, hostname, totalmem } from 'node:os';
import { type Endpoint, Outcome } from './endpoint.ts';
import { ApiError } from './error.ts';
import type { QueryParameters } from './query.ts';
import { CONSUL_VERSION, leader } from './shapes.ts';

/**
 * What Consul answers for the things that nobody has put into it, and that the catalogue has none of: keys, sessions,
 * prepared queries, Connect. Clients ask for them beside the services, and a 404 without an index makes them ask again at
 * once. Compared with a real agent in test/catalogue/consul-empty.e2e.test.ts.
 */

/** It never changes: its index is the catalogue's first one, and whoever waits for a change waits its time. */
const never = () => 'node' as const;
const CONNECT_OFF = 'Connect must be enabled in order to use this endpoint';

/** A list of none, with an index to wait for. */
const none = (path: string): Endpoint => ({ path, topic: never, read: () => [] });
/** An answer as it is, without an index. */
const fixed = (path: string, body: unknown): Endpoint => ({ path, read: () => body });
const refused = (path: string, status: number, words: string): Endpoint => ({
  path,
  read: () => {
    throw new ApiError(status, words);
  },
});

export const EMPTY: readonly Endpoint[] = [
  { path: '/kv/*', topic: never, read: (_, key, query) => noKey(key, query) },
  none('/event/list'),
  none('/session/list'),
  none('/session/info/*'),
  { ...none('/session/node/*'), needs: 'node name' },
  none('/query'),
  refused('/query/*', 404, 'Query not found'),
  { path: '/config/*', topic: never, read: (_, name) => noConfig(name) },
  none('/connect/intentions'),
  {
    path: '/connect/intentions/match',
    read: (_, __, query) => Object.fromEntries(query.all('name').map((name) => [name, null])),
  },
  fixed('/connect/intentions/check', { Allowed: true }),
  refused('/connect/ca/roots', 500, CONNECT_OFF),
  refused('/connect/ca/configuration', 500, CONNECT_OFF),
  refused('/agent/connect/ca/roots', 500, CONNECT_OFF),
  refused('/agent/connect/ca/leaf/*', 500, CONNECT_OFF),
  refused('/discovery-chain/*', 500, CONNECT_OFF),
  { ...none('/catalog/connect/*'), needs: 'service name' },
  { ...none('/health/connect/*'), needs: 'service name' },
  { ...none('/health/ingress/*'), needs: 'service name' },
  { path: '/catalog/gateway-services/*', needs: 'gateway name', topic: never, read: () => null },
  none('/internal/ui/gateway-services-nodes/*'),
  none('/coordinate/nodes'),
  fixed('/coordinate/datacenters', []),
  { path: '/coordinate/node/*', topic: never, read: () => new Outcome(404, undefined, '') },
  refused('/acl/*', 401, 'ACL support disabled'),
  {
    path: '/operator/raft/configuration',
    read: ({ node }) => {
      const { id: ID, name: Node } = node;
      const server = { ID, Node, Address: leader(node), Leader: true, ProtocolVersion: '3', Voter: true };
      return { Servers: [server], Index: 0 };
    },
  },
  {
    path: '/agent/host',
    read: () => ({
      Memory: { total: totalmem(), available: freemem(), free: freemem() },
      CPU: [],
      Host: { hostname: hostname(), os: process.platform },
      Disk: null,
      CollectionTime: Date.now() * 1_000_000,
      Errors: null,
    }),
  },
  {
    path: '/agent/metrics',
    read: () => ({
      Timestamp: `${new Date().toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
      Gauges: [],
      Points: [],
      Counters: [],
      Samples: [],
    }),
  },
  fixed('/agent/version', { SHA: '', BuildDate: '', HumanVersion: CONSUL_VERSION, FIPS: '' }),
];

function noKey(key: string, query: QueryParameters): unknown {
  const many = query.has('keys') || query.has('recurse');
  if (key === '' && !many) throw new ApiError(400, 'Missing key name');
  return key === '' && query.has('keys') ? [] : new Outcome(404, undefined, '');
}

/** Of a kind, there is none; of a kind and a name, it is not found. */
function noConfig(of: string): unknown {
  const [kind, name] = of.slice(0, 512).split('/');
  return name === undefined ? [] : new Outcome(404, undefined, `Config entry not found for "${kind}" / "${name}"`);
}
