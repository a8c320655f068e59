import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Catalogue } from '../../src/catalogue/index.ts';
import { ConsulServer } from '../support/consul.ts';

/** What an empty catalogue answers beside what an empty cluster of one real agent does. */

const consul = new ConsulServer();
const log = pino({ level: 'silent' });
const catalogue = new Catalogue({
  nodeName: 'consul-test',
  nodeAddress: '127.0.0.1',
  http: { host: '127.0.0.1', port: 0 },
  log,
});

beforeAll(async () => {
  await Promise.all([consul.start(), catalogue.start()]);
});
afterAll(async () => {
  await Promise.all([consul.dispose(), catalogue.stop()]);
});

const kind = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

/** The parts of an answer that clients go by; headers by name, since numbers are each one's own. */
async function answerOf(base: string, method: string, path: string) {
  const response = await fetch(base + path, { method, redirect: 'manual', signal: AbortSignal.timeout(10_000) });
  const { status, headers } = response;
  const text = await response.text();
  const type = text === '' ? undefined : headers.get('content-type');
  // Its own port, and the service that the server itself is, are Consul's alone.
  const words = text.replace(/"127\.0\.0\.1:\d+"/g, '"the leader"').replace('{"consul":[]}', '{}');
  const body = type === 'application/json' ? JSON.parse(words) : undefined;
  // What holds nothing is compared as it is, and so are words; of what each has of its own, the kind and the first fields.
  const empty = body === undefined || JSON.stringify(body).length <= 20 ? (body ?? text.trim()) : undefined;
  const own =
    empty === undefined ? { kind: kind(body), of: kind(Array.isArray(body) ? body[0] : body) } : { body: empty };
  return {
    status,
    type,
    location: headers.get('location'),
    consul: [...headers.keys()].filter((name) => /^x-(consul|cache)/.test(name)).sort(),
    ...(status === 301 || status === 405 ? {} : own),
  };
}

const GET = `
/v1/agent/self /v1/agent/members /v1/agent/services /v1/agent/checks /v1/agent/host /v1/agent/metrics
/v1/agent/service/none /v1/agent/connect/ca/roots /v1/agent/connect/ca/leaf/web
/v1/catalog/datacenters /v1/catalog/nodes /v1/catalog/services /v1/catalog/service/none /v1/catalog/service/
/v1/catalog/node/none /v1/catalog/node/consul-test /v1/catalog/node-services/none /v1/catalog/node-services/consul-test
/v1/catalog/connect/web /v1/catalog/gateway-services/web
/v1/health/node/consul-test /v1/health/node/none /v1/health/checks/none /v1/health/service/none
/v1/health/connect/web /v1/health/ingress/web /v1/health/state/any /v1/health/state/critical /v1/health/state/
/v1/event/list /v1/event/list?name=x
/v1/session/list /v1/session/node/consul-test /v1/session/node/
/v1/session/info/00000000-0000-0000-0000-000000000000
/v1/query /v1/query/none/execute /v1/query/none/explain /v1/query/00000000-0000-0000-0000-000000000000
/v1/config/service-defaults /v1/config/proxy-defaults /v1/config/service-defaults/web
/v1/connect/intentions /v1/connect/intentions/match?by=source&name=web
/v1/connect/intentions/check?source=a&destination=b /v1/connect/ca/roots /v1/connect/ca/configuration
/v1/coordinate/nodes /v1/coordinate/datacenters /v1/coordinate/node/consul-test
/v1/internal/ui/nodes /v1/internal/ui/node/consul-test /v1/internal/ui/node/none
/v1/internal/ui/gateway-services-nodes/x
/v1/discovery-chain/web /v1/operator/raft/configuration /v1/status/leader /v1/status/peers
/v1/acl/tokens /v1/acl/list
/v1/kv/a /v1/kv/a/b?recurse /v1/kv/a?keys /v1/kv/a?raw /v1/kv/ /v1/kv/?keys /v1/kv/?recurse
/v1/kv /v1/catalog/service /v1/catalog/service?tag=x /v1/catalog/node /v1/health/service /v1/health/node
/v1/health/state /v1/agent/service /v1/agent/health/service/id /v1/session/node /v1//catalog/services
/v1/catalog/services?ns=team /v1/catalog/services?near=_agent /v1/health/service/none?cached
/v1/health/service/none?stale /v1/health/service/none?consistent /v1/health/service/none?merge-central-config
`
  .trim()
  .split(/\s+/)
  .map((path) => ['GET', path]);

const OTHER = [
  ['HEAD', '/v1/catalog/services'],
  ['HEAD', '/v1/kv/a'],
  ['HEAD', '/v1/health/service/web'],
  ['HEAD', '/v1/nope'],
  ['OPTIONS', '/v1/catalog/services'],
  ['OPTIONS', '/v1/agent/service/x'],
  ['PUT', '/v1/catalog/services'],
  ['POST', '/v1/catalog/services'],
  ['DELETE', '/v1/health/service/web'],
];

/** Headers that 1.8 has at some reads only, and newer ones everywhere; and one that it does not know. */
const LATER = ['x-consul-effective-consistency', 'x-consul-query-backend'];
/** Where we differ in headers, and why. */
const HEADERS_DIFFER: Readonly<Record<string, string>> = {
  '/v1/event/list': 'an event list has an index, but no leader there',
  '/v1/event/list?name=x': 'the same',
  '/v1/connect/ca/roots': 'an error has no index here: there is nothing to wait for',
  '/v1/discovery-chain/web': 'the same',
  '/v1/query/00000000-0000-0000-0000-000000000000': 'the same',
};

test.each([...GET, ...OTHER])('%s %s', async (method = '', path = '') => {
  const [ours, theirs] = await Promise.all([
    answerOf(`http://127.0.0.1:${catalogue.httpPort}`, method, path),
    answerOf(`http://${consul.address}`, method, path),
  ]);
  const comparable = ({ consul: names, ...rest }: typeof ours) => ({
    ...rest,
    consul: path in HEADERS_DIFFER ? [] : names.filter((name) => !LATER.includes(name)),
  });
  expect(comparable(ours)).toEqual(comparable(theirs));
});
