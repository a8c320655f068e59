import { hostname as systemName } from 'node:os';
import type { DockerHost, EngineInfo } from '../docker/index.ts';
import { compact } from '../lib/compact.ts';
import type { DeriveOptions } from '../services/index.ts';
import { HostAddress, isReachable } from './host-address.ts';
import { hasOwnNetwork } from './own-container.ts';

/** What a person sets; the rest of `DeriveOptions` is looked up. */
export interface DeriveSettings extends Omit<DeriveOptions, 'hostname' | 'hostAddress' | 'ownNetwork'> {
  /** `--hostname`. */
  readonly hostname?: string;
}

/** This host's name, as it stands in IDs: as told, else as Docker knows it, which knows none now and then. */
function hostnameOf({ hostname }: Pick<DeriveSettings, 'hostname'>, engine: Pick<EngineInfo, 'hostname'>): string {
  return hostname ?? (engine.hostname || systemName());
}

/** What is looked up of the host itself. */
export interface HostFacts extends Pick<DeriveOptions, 'hostname' | 'ownNetwork'> {
  readonly address: HostAddress;
}

/**
 * Looks up who and where this host is.
 *
 * @throws Docker's error where it does not answer
 */
export async function hostFacts(
  settings: Pick<DeriveSettings, 'hostname'>,
  engine: EngineInfo,
  docker: DockerHost,
  signal: AbortSignal,
): Promise<HostFacts> {
  const hostname = hostnameOf(settings, engine);
  const ownNetwork = await hasOwnNetwork(docker, signal);
  const address = new HostAddress(hostname, ownNetwork);
  await address.look();
  return { hostname, ownNetwork, address };
}

/** What the options say about deriving, with what is known of the host. */
export function deriveOptions(options: DeriveSettings, { hostname, ownNetwork, address }: HostFacts): DeriveOptions {
  const { ip, ipFamily, internal, explicit, network, useIpFromLabel, ipFromContainer } = options;
  const { tags, ttl, dockerHealth, healthTtl, drain, requireHealthy, composeNames, swarm } = options;
  return compact({
    hostname,
    hostAddress: address.addresses,
    ownNetwork,
    ipFamily,
    internal,
    explicit,
    ipFromContainer,
    dockerHealth,
    healthTtl,
    drain,
    requireHealthy,
    composeNames,
    swarm,
    ip,
    network,
    useIpFromLabel,
    tags,
    ttl,
  });
}

/** The addresses by which this host tells its own entries from those of a cloned one, now. */
export function ownAddresses({ ip }: Pick<DeriveSettings, 'ip'>, { address }: HostFacts): ReadonlySet<string> {
  const addresses = ip === undefined ? Object.values(address.addresses) : [ip];
  return new Set(addresses.filter(isReachable));
}

/** The host's own address: as told, else as looked up, where one was found. */
export function ownAddress({ ip, ipFamily, hostAddress }: DeriveOptions): string | undefined {
  return ip ?? hostAddress[ipFamily];
}
