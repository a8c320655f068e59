import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { CheckState } from '../checks/state.ts';
import { contentOf } from '../content.ts';
import type { Instance, Node, Store } from '../store.ts';

/** Consul's answers in its own field names and types, as its version 1.8 gives them; without empty or Enterprise fields that 1.8 leaves out. */

/** The Consul version whose answers these are: what `/v1/agent/self` says. */
export const CONSUL_VERSION = '1.8.7';
const SERF_PORT = 8301;
const SERVER_PORT = 8300;

const NODE_META = { 'consul-network-segment': '' };

export function node({ id, name, address, datacenter, index }: Node) {
  return {
    ID: id,
    Node: name,
    Address: address,
    Datacenter: datacenter,
    TaggedAddresses: nodeAddresses(address),
    Meta: NODE_META,
    CreateIndex: index,
    ModifyIndex: index,
  };
}

/** For `/v1/catalog/service`: a service beside its node. */
export function catalogService({ service, createIndex, modifyIndex }: Instance, { node: host }: Store) {
  return {
    ID: host.id,
    Node: host.name,
    Address: host.address,
    Datacenter: host.datacenter,
    TaggedAddresses: nodeAddresses(host.address),
    NodeMeta: NODE_META,
    ServiceKind: '',
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    ServiceAddress: service.address,
    ...tagged('ServiceTaggedAddresses', service.address, service.port),
    ServiceWeights: weights(service.weight),
    ServiceMeta: service.meta,
    ServicePort: service.port,
    ServiceEnableTagOverride: service.enableTagOverride ?? false,
    ServiceProxy: { MeshGateway: {}, Expose: {} },
    ServiceConnect: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** For `/v1/health/service` and `/v1/catalog/node`. */
export function nodeService({ service, createIndex, modifyIndex }: Instance) {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Address: service.address,
    ...tagged('TaggedAddresses', service.address, service.port),
    Meta: service.meta,
    Port: service.port,
    Weights: weights(service.weight),
    EnableTagOverride: service.enableTagOverride ?? false,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  };
}

/** For `/v1/agent/services`. */
export function agentService({ service }: Instance) {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta,
    Port: service.port,
    Address: service.address,
    ...tagged('TaggedAddresses', service.address, service.port),
    Weights: weights(service.weight),
    EnableTagOverride: service.enableTagOverride ?? false,
  };
}

export function contentHash({ service }: Instance): string {
  return createHash('sha256').update(contentOf(service)).digest('hex').slice(0, 16);
}

export function serviceEntry(instance: Instance, store: Store) {
  return {
    Node: node(store.node),
    Service: nodeService(instance),
    Checks: [serfHealth(store.node), ...checks(instance, store)],
  };
}

export function checks(instance: Instance, store: Store) {
  return instance.checks.map((state) => check(state, instance, store));
}

export function check(state: CheckState, { service }: Instance, store: Store) {
  return {
    Node: store.node.name,
    CheckID: state.id,
    Name: state.name,
    Status: state.status,
    Notes: state.notes,
    Output: state.output,
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    Type: state.type,
    Definition: {},
    CreateIndex: state.createIndex,
    ModifyIndex: state.modifyIndex,
  };
}

/** The check that says that the node itself is there. */
export function serfHealth({ name, index }: Node) {
  return {
    Node: name,
    CheckID: 'serfHealth',
    Name: 'Serf Health Status',
    Status: 'passing',
    Notes: '',
    Output: 'Agent alive and reachable',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: '',
    Definition: {},
    CreateIndex: index,
    ModifyIndex: index,
  };
}

export function member({ id, name, address, datacenter }: Node) {
  return {
    Name: name,
    Addr: address,
    Port: SERF_PORT,
    Tags: {
      acls: '0',
      bootstrap: '1',
      build: `${CONSUL_VERSION}:`,
      dc: datacenter,
      id,
      port: String(SERVER_PORT),
      raft_vsn: '3',
      role: 'consul',
      segment: '',
      vsn: '2',
      vsn_max: '3',
      vsn_min: '2',
    },
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

export function self(store: Store) {
  const { id, name, datacenter } = store.node;
  return {
    Config: {
      Datacenter: datacenter,
      NodeName: name,
      NodeID: id,
      Revision: '',
      Server: true,
      Version: CONSUL_VERSION,
    },
    DebugConfig: {},
    Coord: { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.00001 },
    Member: member(store.node),
    Stats: {
      agent: { services: String(store.size) },
      consul: { leader: 'true', leader_addr: leader(store.node), server: 'true' },
    },
    Meta: NODE_META,
  };
}

export function leader({ address }: Node): string {
  return isIP(address) === 6 ? `[${address}]:${SERVER_PORT}` : `${address}:${SERVER_PORT}`;
}

const weights = (passing = 1) => ({ Passing: passing, Warning: 1 });

function nodeAddresses(address: string): Record<string, string> {
  const family = isIP(address);
  if (family === 0) return { lan: address, wan: address };
  return { lan: address, [`lan_ipv${family}`]: address, wan: address, [`wan_ipv${family}`]: address };
}

/** Consul gives tagged addresses to services with an IP address only. */
function tagged(field: string, address: string, port: number): Record<string, unknown> {
  const family = isIP(address);
  if (family === 0) return {};
  const at = { Address: address, Port: port };
  return { [field]: { [`lan_ipv${family}`]: at, [`wan_ipv${family}`]: at } };
}
