import { allOf, recordsOf } from '../../src/registries/rfc2136/layout.ts';
import { decodeMark } from '../../src/registries/rfc2136/mark.ts';
import type { BindServer } from './bind.ts';
import { KEY_ENV, nsupdateWords } from './dns-server.ts';
import type { RegistryPlace, Seen } from './registry-places.ts';

/** One zone of the server's each: `<place>.example`. */
export const zoneOf = (place: string) => `${place}.example`;

interface Instance extends Seen {
  readonly key: string;
  /** All that the zone has at its name. */
  readonly records: readonly string[];
}

/** A zone of BIND. What wrote there before us is a registrator of ours: no other one writes to DNS servers. */
export function rfc2136Place(server: BindServer): RegistryPlace {
  const line = ({ name, id, address, port }: Seen) => `${name}/${id} ${address}:${port}`;
  const instances = async (place: string) => instancesOf(await server.records(zoneOf(place)));
  return {
    name: 'rfc2136',
    ttl: 5,
    expires: false,
    env: KEY_ENV,
    uri: (place) => `rfc2136://${server.address}/${zoneOf(place)}`,
    line,
    lines: async (place) => (await instances(place)).map(line).sort(),
    stamps: async (place) =>
      Object.fromEntries((await instances(place)).map(({ key, records }) => [key, records.join('\n')])),
    keys: (place) => server.records(zoneOf(place)),
    write: async (place, seen) => {
      const zone = zoneOf(place);
      await server.update(linesFor(seen, zone).map((text) => `update add ${text}`));
      return { line: line(seen), end: async () => {} };
    },
  };
}

/** @param records as `name type data`, the names as they stand below the zone */
function instancesOf(records: readonly string[]): Instance[] {
  const parsed = records.map((text) => {
    const [, name = '', type = '', data = ''] = /^(\S+) (\S+) (.*)$/.exec(text) ?? [];
    return { text, name, type, data };
  });
  return parsed.flatMap(({ name: key, type, data: address }): Instance[] => {
    const [label = '', ...name] = key.split('.');
    if (type !== 'A' || name.length !== 1) return [];
    const strings = parsed.find((other) => other.name === key && other.type === 'TXT')?.data.match(/"[^"]*"/g) ?? [];
    const mark = decodeMark(strings.map((text) => Buffer.from(text.slice(1, -1))));
    const srv = parsed.find((other) => other.type === 'SRV' && other.data.endsWith(` ${key}`));
    return [
      {
        ...{ key, address, name: mark?.name ?? name.join('.'), id: mark?.id ?? label },
        port: Number(srv?.data.split(' ')[2]),
        records: parsed.filter((other) => other.name === key).map(({ text }) => text),
      },
    ];
  });
}

/** nsupdate's words for the records of an entry: marked where its ID shows a host, else as an operator writes them. */
function linesFor({ id, name, address, port }: Seen, zone: string): string[] {
  const host = /^(node\d):/.exec(id)?.[1];
  if (host === undefined) {
    const key = `${id}.${name}.${zone}.`;
    return [`${key} 10 A ${address}`, `_${name}._tcp.${zone}. 10 SRV 1 1 ${port} ${key}`];
  }
  const mark = { host, engine: 'E', id, name, address, port, protocol: 'tcp', weight: 1, tags: [] };
  return allOf(recordsOf(mark, { zone, tags: false })).map(nsupdateWords);
}
