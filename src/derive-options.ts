import { hostAddress } from './host-address.ts';
import type { Options } from './options.ts';
import type { DeriveOptions } from './services/index.ts';

/** What the options say about deriving, with the addresses of this host looked up. @param hostname first part of IDs */
export async function deriveOptions(options: Options, hostname: string): Promise<DeriveOptions> {
  const { ip, ipFamily, internal, explicit, network, useIpFromLabel, ipFromContainer } = options;
  const { tags, ttl, dockerHealth, composeNames, swarm } = options;
  const [v4, v6] = await Promise.all([hostAddress(hostname, 4), hostAddress(hostname, 6)]);
  return {
    hostname,
    hostAddress: { ...(v4 === undefined ? {} : { 4: v4 }), ...(v6 === undefined ? {} : { 6: v6 }) },
    ipFamily,
    internal,
    explicit,
    ipFromContainer,
    dockerHealth,
    composeNames,
    swarm,
    ...(ip === undefined ? {} : { ip }),
    ...(network === undefined ? {} : { network }),
    ...(useIpFromLabel === undefined ? {} : { useIpFromLabel }),
    ...(tags === undefined ? {} : { tags }),
    ...(ttl === undefined ? {} : { ttl }),
  };
}
