import type { Entry } from '../registry.ts';
import type { Mark } from './mark.ts';
import type { Instance } from './zone.ts';

/** The entry of an instance that the zone holds as it should. @param ttl seconds of its records */
export function entryOf(
  key: string,
  strings: readonly Buffer[],
  { id, name, address, port }: Mark,
  ttl: number,
): Entry {
  return { key, content: contentOf(strings, ttl), id, name, address, port };
}

/** The entry of an instance as the zone has it: its content says what is wrong with it. */
export function entryFound({ mark, records, ttl, missing }: Instance): Entry {
  const { id, name, address, port } = mark;
  const lacking = missing.map((text) => `\nwithout ${text}`).join('');
  return { key: records.key, content: `${contentOf(records.mark.data, ttl)}${lacking}`, id, name, address, port };
}

const contentOf = (strings: readonly Buffer[], ttl: number) => `${Buffer.concat(strings)} for ${ttl} s`;
