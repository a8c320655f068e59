import type { Entry } from '../registry.ts';
import { keyOf, type Layout } from './layout.ts';
import { encodeMark, type Mark } from './mark.ts';
import type { Instance } from './zone.ts';

/** The entry of an instance that the zone holds as it should. @param ttl seconds of its records */
export function entryOf(mark: Mark, layout: Layout, ttl: number): Entry {
  const { id, name, address, port } = mark;
  return { key: keyOf(mark, layout), content: contentOf(encodeMark(mark), ttl), id, name, address, port };
}

/** The entry of an instance as the zone has it: its content says what is wrong with it. */
export function entryFound({ mark, records, ttl, missing }: Instance): Entry {
  const { id, name, address, port } = mark;
  const lacking = missing.map((text) => `\nwithout ${text}`).join('');
  return { key: records.key, content: `${contentOf(records.mark.data, ttl)}${lacking}`, id, name, address, port };
}

const contentOf = (strings: readonly Buffer[], ttl: number) => `${Buffer.concat(strings)} for ${ttl} s`;
