import type { Answer } from 'dns-packet';
import { allOf, type InstanceRecords, type Layout, recordsOf } from './layout.ts';
import { decodeMark, type Mark } from './mark.ts';
import { textOf, type ZoneRecord, zoneRecord } from './message.ts';
import type { Held } from './update.ts';

/** What a zone transfer says. Pure. */
export interface Zone {
  readonly serial: number;
  /** Names of the zone's own name servers: nothing may be added to them. */
  readonly nameServers: ReadonlySet<string>;
  /** By its name. */
  readonly instances: ReadonlyMap<string, Instance>;
}

/** A registrator's, whichever host it runs on. */
export interface Instance extends Held {
  readonly mark: Mark;
  /** Seconds. */
  readonly ttl: number;
  /** The records that it should have and has not. */
  readonly missing: readonly string[];
}

/** @throws Error where it is no zone transfer */
export function readZone(answers: readonly Answer[], layout: Layout): Zone {
  const [soa] = answers;
  if (soa?.type !== 'SOA') throw new Error('the DNS server answers a zone transfer with something else');
  const nameServers = new Set<string>();
  const present = new Set<string>();
  const texts = new Map<string, { readonly ttl: number; readonly records: ZoneRecord[] }>();
  for (const answer of answers) {
    if (answer.type === 'NS') nameServers.add(answer.data.toLowerCase());
    const record = zoneRecord(answer);
    if (record?.type === 'TXT') {
      const known = texts.get(record.name);
      if (known === undefined)
        texts.set(record.name, { ttl: (answer as { ttl?: number }).ttl ?? 0, records: [record] });
      else known.records.push(record);
    } else if (record !== undefined) present.add(textOf(record));
  }
  const instances = new Map<string, Instance>();
  for (const [name, { ttl, records }] of texts) {
    const instance = instanceOf(name, records, layout);
    if (instance === undefined) continue;
    const others = allOf(instance.records).filter(({ type }) => type !== 'TXT');
    const missing = others.map(textOf).filter((text) => !present.has(text));
    instances.set(name, { ...instance, ttl, missing });
  }
  return { serial: soa.data.serial ?? 0, nameServers, instances };
}

/** @returns undefined where these TXT records are no registrator's mark for this name */
export function instanceOf(
  name: string,
  texts: readonly ZoneRecord[],
  layout: Layout,
): (Held & { readonly mark: Mark }) | undefined {
  const marks = texts.flatMap((text) => (text.type === 'TXT' ? (decodeMark(text.data) ?? []) : []));
  const [mark] = marks;
  if (mark === undefined || marks.length > 1) return undefined;
  const records = recordsIfAny(mark, layout);
  return records?.key === name ? { mark, records, texts } : undefined;
}

function recordsIfAny(mark: Mark, layout: Layout): InstanceRecords | undefined {
  try {
    return recordsOf(mark, layout);
  } catch {
    // What we would not write ourselves is nobody's that we know of.
    return undefined;
  }
}
