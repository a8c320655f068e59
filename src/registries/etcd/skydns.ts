import * as v from 'valibot';
import { parsed } from '../../lib/checked.ts';
import { idLabel, NAME_LABEL, nameLabel } from '../kit/index.ts';
import type { Registry, RegistryContext } from '../registry.ts';
import { etcdV3 } from './etcd.ts';
import type { Layout } from './layout.ts';
import { etcdV2 } from './legacy.ts';
import { type EtcdTarget, etcdTarget } from './uri.ts';

/** What SkyDNS and CoreDNS read at a key. */
const RECORD = v.object({ host: v.string(), port: v.number() });

/** `skydns2://host/domain`: SkyDNS, which reads etcd v2. */
export async function skydns2(uri: string, context: RegistryContext): Promise<Registry> {
  const target = await etcdTarget(uri, context.env);
  return etcdV2(target, skydnsLayout(['skydns'], oneDomain(target)), context);
}

/**
 * `coredns://host/domain`: CoreDNS's etcd plugin, which reads etcd v3. Also `coredns://host/prefix?zone=domain`, which
 * fayrus/registrator takes, for a plugin with another `path` than skydns.
 */
export async function coredns(uri: string, context: RegistryContext): Promise<Registry> {
  const target = await etcdTarget(uri, context.env);
  const zone = target.query.get('zone');
  const layout =
    zone === null
      ? skydnsLayout(['skydns'], oneDomain(target))
      : skydnsLayout(target.path.length === 0 ? ['skydns'] : target.path, zone);
  return etcdV3(target, layout, context);
}

function oneDomain({ path, query, name }: EtcdTarget): string {
  const [domain] = path;
  if (domain !== undefined && path.length === 1 && query.size === 0) return domain;
  const scheme = name.slice(0, name.indexOf(':'));
  throw new Error(`The ${scheme} URI must end in the domain, as in ${scheme}://127.0.0.1:2379/services.example.`);
}

/**
 * `/skydns/<domain, reversed>/<name>/<id>` = `{"host":…,"port":…}` (SkyDNS's README, CoreDNS's plugin/etcd/msg). Each
 * part is a label of a DNS name, and those two look for lower case only.
 *
 * @throws an Error with one sentence when the domain is none
 */
export function skydnsLayout(root: readonly string[], domain: string): Layout {
  const labels = domain.toLowerCase().replace(/\.$/, '').split('.');
  if (!labels.every((label) => NAME_LABEL.test(label))) {
    throw new Error('The domain in the registry URI is no DNS name: write one as in services.example.');
  }
  const zone = labels.join('.');
  const folder = root.map((part) => `/${part}`).join('');
  const prefix = [folder, ...labels.reverse()].join('/');
  return {
    prefix,
    claims: `${folder}/_registrator`,
    key: ({ name, id }) => `${prefix}/${nameLabel(name)}/${idLabel(id)}`,
    dnsName: (serviceName) => `${nameLabel(serviceName)}.${zone}`,
    value: ({ address, port }) => JSON.stringify({ host: address, port }),
    parse: (value) => {
      const record = parsed(RECORD, value);
      return record && { address: record.host, port: record.port };
    },
  };
}
