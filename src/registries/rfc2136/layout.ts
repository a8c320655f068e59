import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Service } from '../../services/index.ts';
import { idLabel, nameLabel } from '../kit/index.ts';
import { type Owner, RefusedError } from '../registry.ts';
import { encodeMark, type Mark } from './mark.ts';
import type { ZoneRecord } from './message.ts';

/** Which records a service has in a zone. Pure. */
export interface Layout {
  readonly zone: string;
  /** Whether tags have names, too. */
  readonly tags: boolean;
}

/** What the zone holds for one instance. */
export interface InstanceRecords {
  /** `<instance>.<name>.<zone>`: the target of its SRV record, with its own address and mark. */
  readonly key: string;
  readonly mark: ZoneRecord & { readonly type: 'TXT' };
  /** Those that no other instance has: its own address, and its SRV record. */
  readonly own: readonly ZoneRecord[];
  /** Those that others may have as well: the address as one of the service's, and of each tag's. */
  readonly shared: readonly Shared[];
}

/**
 * An address of a service. Two instances with one address, of one host or of two, have one such record between them: DNS
 * knows no record twice. So beside it stands who has it, and the last one takes it along.
 */
export interface Shared {
  readonly address: ZoneRecord;
  /** At `_<address>.<name>.<zone>`, one for each instance. */
  readonly claim: ZoneRecord & { readonly type: 'PTR' };
}

/** RFC 1035, as text without the last dot. */
const LONGEST_NAME = 253;
/** As Consul answers, and the embedded catalogue. */
const PRIORITY = 1;
const WEIGHT = 1;

export function markOf(service: Service, { host, engine }: Owner, { tags }: Layout): Mark {
  const { id, name, address, port, protocol, weight = WEIGHT } = service;
  return { host, engine, id, name, address, port, protocol, weight, tags: tags ? service.tags : [] };
}

export function keyOf({ id, name }: Pick<Mark, 'id' | 'name'>, { zone }: Layout): string {
  return `${idLabel(id)}.${nameLabel(name)}.${zone}`;
}

/** @throws RefusedError for what a zone cannot hold */
export function recordsOf(mark: Mark, layout: Layout): InstanceRecords {
  const key = keyOf(mark, layout);
  const service = `${nameLabel(mark.name)}.${layout.zone}`;
  const { type, data } = addressOf(mark.address);
  const { port, weight } = mark;
  const names = new Set([service, ...mark.tags.map((tag) => `${nameLabel(tag)}.${service}`)]);
  const records: InstanceRecords = {
    key,
    mark: { name: key, type: 'TXT', data: encodeMark(mark) },
    own: [
      { name: key, type, data },
      {
        name: `_${afterUnderscore(nameLabel(mark.name))}._${mark.protocol}.${layout.zone}`,
        type: 'SRV',
        data: { priority: PRIORITY, weight, port, target: key },
      },
    ],
    shared: [...names].map((name) => ({
      address: { name, type, data },
      claim: { name: `_${data.replace(/[.:]/g, '-')}.${name}`, type: 'PTR', data: key },
    })),
  };
  const longest = allOf(records).find(({ name }) => name.length > LONGEST_NAME);
  if (longest !== undefined) {
    throw new RefusedError(
      `${longest.name.slice(0, 60)}… is longer than the ${LONGEST_NAME} characters that a DNS name may have: give the container a shorter name, ID or tag.`,
    );
  }
  return records;
}

export function allOf({ mark, own, shared }: InstanceRecords): readonly ZoneRecord[] {
  return [...own, ...shared.flatMap(({ address, claim }) => [address, claim]), mark];
}

/** A label has 63 characters with the underscore; of a name that was cut to that length, the end tells it from others. */
const afterUnderscore = (label: string) => (label.length < 63 ? label : `${label.slice(0, 53)}${label.slice(-9)}`);

/** @throws RefusedError */
function addressOf(text: string): { readonly type: 'A' | 'AAAA'; readonly data: string } {
  const family = isIP(text);
  if (family === 4) return { type: 'A', data: text };
  if (family === 6 && !text.includes('%')) return { type: 'AAAA', data: ipaddr.parse(text).toString() };
  throw new RefusedError('Its address is no IP address, and a DNS zone takes nothing else: see SERVICE_IP.');
}
