import type { HealthStatus } from '../../services/index.ts';
import type { CheckState } from '../checks/state.ts';
import type { Instance, Store } from '../store.ts';
import { healthOfId, healthOfName } from './agent-health.ts';
import { EMPTY } from './empty.ts';
import { type Endpoint, Outcome } from './endpoint.ts';
import { ApiError } from './error.ts';
import type { QueryParameters } from './query.ts';
import {
  agentService,
  catalogService,
  check,
  checks,
  contentHash,
  leader,
  member,
  node,
  nodeService,
  self,
  serfHealth,
  serviceEntry,
} from './shapes.ts';

export const ENDPOINTS: readonly Endpoint[] = [
  { path: '/catalog/datacenters', read: ({ node: { datacenter } }) => [datacenter] },
  { path: '/catalog/nodes', topic: () => 'node', filters: true, read: (store, _, query) => nodes(store, query) },
  { path: '/catalog/services', topic: () => 'services', read: (store, _, query) => serviceNames(store, query) },
  {
    path: '/catalog/service/*',
    needs: 'service name',
    topic: (service) => ({ service }),
    filters: true,
    read: (store, name, query) => selected(store, name, query).map((instance) => catalogService(instance, store)),
  },
  {
    path: '/catalog/node/*',
    needs: 'node name',
    topic: () => 'services',
    read: (store, name, query) => {
      if (!isNode(store, name)) return null;
      const services = query.filtered(store.all().map(nodeService));
      return { Node: node(store.node), Services: Object.fromEntries(services.map((service) => [service.ID, service])) };
    },
  },
  {
    path: '/catalog/node-services/*',
    needs: 'node name',
    topic: () => 'services',
    read: (store, name, query) =>
      isNode(store, name)
        ? { Node: node(store.node), Services: query.filtered(store.all().map(nodeService)) }
        : { Node: null, Services: null },
  },
  {
    path: '/health/service/*',
    needs: 'service name',
    topic: (service) => ({ service }),
    filters: true,
    read: (store, name, query) => {
      const passing = query.flag('passing');
      return selected(store, name, query)
        .filter(({ status }) => !passing || status === 'passing')
        .map((instance) => serviceEntry(instance, store));
    },
  },
  {
    path: '/health/node/*',
    needs: 'node name',
    topic: () => 'checks',
    filters: true,
    read: (store, name) => (isNode(store, name) ? allChecks(store) : []),
  },
  {
    path: '/health/checks/*',
    needs: 'service name',
    topic: (service) => ({ service }),
    filters: true,
    read: (store, name) => store.named(name).flatMap((instance) => checks(instance, store)),
  },
  {
    path: '/health/state/*',
    needs: 'check state',
    topic: () => 'checks',
    filters: true,
    read: (store, state) => allChecks(store).filter(({ Status }) => state === 'any' || Status === state),
  },
  { path: '/agent/self', atOnce: true, read: (store) => self(store) },
  { path: '/agent/members', atOnce: true, read: (store) => [member(store.node)] },
  {
    path: '/agent/services',
    filters: true,
    read: (store) => Object.fromEntries(store.all().map((instance) => [instance.service.id, agentService(instance)])),
  },
  {
    path: '/agent/service/*',
    needs: 'service ID',
    hash: (store, id) => {
      const instance = store.get(id);
      return instance === undefined ? undefined : contentHash(instance);
    },
    read: (store, id) => {
      const instance = store.get(id);
      if (instance === undefined) throw new ApiError(404, `unknown service ID: ${id.slice(0, 256)}`);
      return { ...agentService(instance), ContentHash: contentHash(instance) };
    },
  },
  {
    path: '/agent/checks',
    filters: true,
    read: (store) => Object.fromEntries(store.all().flatMap((instance) => agentChecks(instance, store))),
  },
  { path: '/agent/health/service/id/*', read: (store, id) => healthOfId(store, id) },
  { path: '/agent/health/service/name/*', read: (store, name) => healthOfName(store, name) },
  { path: '/internal/ui/services', topic: () => 'checks', filters: true, read: uiServices },
  { path: '/internal/ui/nodes', topic: () => 'all', filters: true, read: (store) => [uiNode(store)] },
  {
    path: '/internal/ui/node/*',
    needs: 'node name',
    topic: () => 'all',
    read: (store, name) => (isNode(store, name) ? uiNode(store) : new Outcome(404, undefined, '')),
  },
  { path: '/status/leader', atOnce: true, read: (store) => leader(store.node) },
  { path: '/status/peers', atOnce: true, read: (store) => [leader(store.node)] },
  ...EMPTY,
];

/** For Consul's own page: each name with how its checks stand, that of the node counted for each instance's node. */
function uiServices(store: Store): unknown[] {
  const names = [...new Set(store.all().map(({ service }) => service.name))].sort();
  return names.map((name) => {
    const instances = store.named(name);
    const checks = instances.flatMap((instance) => instance.checks);
    const count = (status: HealthStatus) => checks.filter((check) => check.status === status).length;
    const tags = [...new Set(instances.flatMap(({ service }) => service.tags))].sort();
    return {
      Name: name,
      Tags: tags.length === 0 ? null : tags,
      Nodes: [store.node.name],
      InstanceCount: instances.length,
      ChecksPassing: count('passing') + 1,
      ChecksWarning: count('warning'),
      ChecksCritical: count('critical'),
      ExternalSources: null,
      GatewayConfig: {},
    };
  });
}

function uiNode(store: Store): unknown {
  const { id, name, address } = store.node;
  const { TaggedAddresses, Meta } = node(store.node);
  const services = store.all().map(nodeService);
  return { ID: id, Node: name, Address: address, TaggedAddresses, Meta, Services: services, Checks: allChecks(store) };
}

const isNode = (store: Store, name: string) => name.toLowerCase() === store.node.name.toLowerCase();

/** Service names with all tags of their instances, in the order of names. */
function serviceNames(store: Store, query: QueryParameters): Record<string, string[]> {
  const names = new Map<string, Set<string>>();
  for (const { service } of hasNodeMeta(query) ? [] : store.all()) {
    const tags = names.get(service.name) ?? new Set();
    for (const tag of service.tags) tags.add(tag);
    names.set(service.name, tags);
  }
  const sorted = [...names].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([name, tags]) => [name, [...tags]]));
}

function nodes(store: Store, query: QueryParameters): unknown[] {
  return hasNodeMeta(query) ? [] : [node(store.node)];
}

/** The instances of a name that have all tags asked for, in any case. */
function selected(store: Store, name: string, query: QueryParameters): Instance[] {
  if (hasNodeMeta(query)) return [];
  const tags = query.all('tag').map((tag) => tag.toLowerCase());
  return store.named(name).filter(({ service }) => {
    const own = service.tags.map((tag) => tag.toLowerCase());
    return tags.every((tag) => own.includes(tag));
  });
}

/** The node has no metadata that could match. */
const hasNodeMeta = (query: QueryParameters) =>
  query.all('node-meta').some((pair) => pair !== '' && pair !== 'consul-network-segment:');

function allChecks(store: Store) {
  return [serfHealth(store.node), ...store.all().flatMap((instance) => checks(instance, store))];
}

/** The agent's own view has no indexes. */
function agentChecks(instance: Instance, store: Store) {
  return instance.checks.map((state: CheckState) => [
    state.id,
    check({ ...state, createIndex: 0, modifyIndex: 0 }, instance, store),
  ]);
}
