import { hostname as systemName } from 'node:os';
import type { EngineInfo } from '../docker/index.ts';
import { compact } from '../lib/compact.ts';
import type { DeriveOptions } from '../services/index.ts';
import { hostAddress } from './host-address.ts';

/** What a person sets; the rest of `DeriveOptions` is looked up. */
export interface DeriveSettings extends Omit<DeriveOptions, 'hostname' | 'hostAddress'> {
  /** `--hostname`. */
  readonly hostname?: string;
}

/** This host's name, as it stands in IDs: as told, else as Docker knows it, which knows none now and then. */
export function hostnameOf(
  { hostname }: Pick<DeriveSettings, 'hostname'>,
  engine: Pick<EngineInfo, 'hostname'>,
): string {
  return hostname ?? (engine.hostname || systemName());
}

/** What the options say about deriving, with the addresses of this host looked up. @param hostname first part of IDs */
export async function deriveOptions(options: DeriveSettings, hostname: string): Promise<DeriveOptions> {
  const { ip, ipFamily, internal, explicit, network, useIpFromLabel, ipFromContainer } = options;
  const { tags, ttl, dockerHealth, drain, requireHealthy, composeNames, swarm } = options;
  const [v4, v6] = await Promise.all([hostAddress(hostname, 4), hostAddress(hostname, 6)]);
  return compact({
    hostname,
    hostAddress: compact({ 4: v4, 6: v6 }),
    ipFamily,
    internal,
    explicit,
    ipFromContainer,
    dockerHealth,
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

/** The host's own address: as told, else as looked up, where one was found. */
export function ownAddress({ ip, ipFamily, hostAddress }: DeriveOptions): string | undefined {
  return ip ?? hostAddress[ipFamily];
}
