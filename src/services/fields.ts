import { parseBoolean } from '../lib/boolean.ts';
import { portNumber } from '../lib/host-port.ts';
import { enumerate, quote } from '../lib/quote.ts';
import type { Container, ContainerPort } from './container.ts';
import { isOver, MAX_FIELDS, MAX_META_KEY, MAX_META_PAIRS, MAX_META_VALUE, MAX_RANGES } from './limits.ts';
import type { Report } from './report.ts';
import type { Protocol } from './service.ts';

/** What a container says of its services in one label or environment variable, `SERVICE_…`. */
export interface Field {
  readonly from: 'label' | 'environment';
  /** As written, `SERVICE_80_NAME`. */
  readonly key: string;
  /** Lower case, without `SERVICE_` and the port: `name`. */
  readonly name: string;
  readonly value: string;
  /** The ports that it is about; all of them where absent. */
  readonly ports?: PortRange;
}

interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly protocol?: Protocol;
}

/** The fields that count for one port, by name. */
export type PortFields = ReadonlyMap<string, Field>;

const PREFIX = 'SERVICE_';

/**
 * Every `SERVICE_*` field of a container. Those that count more come later: a field for a port and protocol above one
 * for the port, above one for a range (the narrower the more), above one for the container; and among these, a label
 * above the environment.
 */
export class ServiceFields {
  readonly #ofContainer: PortFields;
  /** By port. */
  readonly #ofPorts: ReadonlyMap<number, readonly Field[]>;
  readonly #ofRanges: readonly Field[];
  readonly #strays: readonly string[];

  constructor({ labels, environment }: Container, report: Report) {
    const strays: string[] = [];
    const read = (source: ReadonlyMap<string, string>, from: Field['from']): Field[] => {
      const keys = [...source.keys()].filter((key) => key.startsWith(PREFIX));
      report.leaveOut(keys.splice(MAX_FIELDS), `beyond the ${MAX_FIELDS} keys that count`);
      // Upper and lower case may name one field twice: the one in capitals counts.
      return keys
        .sort((a, b) => (a < b ? 1 : -1))
        .flatMap((key) => {
          const field = readField(from, key, source.get(key) ?? '');
          if (field === undefined) strays.push(key);
          return field ?? [];
        });
    };
    const fields = [...read(environment, 'environment'), ...read(labels, 'label')];
    this.#ofContainer = withinPairs(byName(fields.filter(({ ports }) => ports === undefined)), report);
    const ofPorts = fields.filter(({ ports }) => ports !== undefined).sort((a, b) => specificity(a) - specificity(b));
    const ranges = ofPorts.filter(isRange);
    report.leaveOut(keysOf(ranges.splice(MAX_RANGES)), `beyond the ${MAX_RANGES} ranges of ports that count`);
    this.#ofRanges = ranges;
    const ofOne = ofPorts.filter((field) => !isRange(field));
    this.#ofPorts = Map.groupBy(ofOne, ({ ports }) => ports?.first ?? 0);
    this.#strays = strays;
  }

  for(port: ContainerPort): PortFields {
    const own = this.#about(port);
    return own.length === 0 ? this.#ofContainer : new Map([...this.#ofContainer, ...byName(own)]);
  }

  /** Whether some field is about this port in particular. */
  singleOut(port: ContainerPort): boolean {
    return this.#about(port).length > 0;
  }

  /** Those that count more come later. */
  #about(port: ContainerPort): readonly Field[] {
    return [...this.#ofRanges, ...(this.#ofPorts.get(port.number) ?? [])].filter((field) => concerns(field, port));
  }

  /** One notice on the keys that look like ours and are not, such as those for a port that the container lacks. */
  reportStrays(ports: readonly ContainerPort[], report: Report): void {
    const byNumber = Map.groupBy(ports, ({ number }) => number);
    const lost = [
      ...this.#ofRanges.filter((field) => !ports.some((port) => concerns(field, port))),
      ...[...this.#ofPorts].flatMap(([number, fields]) =>
        fields.filter((field) => !byNumber.get(number)?.some((port) => concerns(field, port))),
      ),
    ];
    const keys = [...new Set([...this.#strays, ...keysOf(lost)])].sort();
    if (keys.length === 0) return;
    report.say('debug', `${enumerate(keys, quote)} name no field, or no port of this container; ignored.`);
  }
}

/** @returns undefined where the key names no field */
function readField(from: Field['from'], key: string, value: string): Field | undefined {
  const path = key.slice(PREFIX.length).toLowerCase();
  const [, first, last, rest] = /^(\d+)(?:-(\d+))?_(.*)$/s.exec(path) ?? [];
  if (first === undefined) return path === '' ? undefined : { from, key, name: path, value };
  const [, protocol, field] = /^(tcp|udp|sctp)_(.*)$/s.exec(rest ?? '') ?? [];
  const name = field ?? rest;
  if (!name) return undefined;
  const ports = { first: portNumber(first) ?? 0, last: portNumber(last ?? first) ?? 0 };
  return {
    from,
    key,
    name,
    value,
    ports: protocol === undefined ? ports : { ...ports, protocol: protocol as Protocol },
  };
}

function concerns({ ports }: Field, { number, protocol }: ContainerPort): boolean {
  if (ports === undefined) return true;
  return ports.first <= number && number <= ports.last && (ports.protocol ?? protocol) === protocol;
}

function specificity({ ports }: Field): number {
  return ports === undefined ? 0 : 2 * (ports.first - ports.last) + (ports.protocol === undefined ? 0 : 1);
}

const isRange = ({ ports }: Field) => ports !== undefined && ports.first !== ports.last;

const keysOf = (fields: readonly Field[]) => fields.map(({ key }) => key);

/** Of two of one name, the later. */
const byName = (fields: readonly Field[]): PortFields => new Map(fields.map((field) => [field.name, field]));

/** Where a field was found, as in `Sources`: `label SERVICE_NAME`, `environment SERVICE_80_TAGS`. */
export const sourceOf = ({ from, key }: Field) => `${from} ${key}`;

/** The field's value; undefined where it is missing or empty. */
export function fieldText(fields: PortFields, name: string): string | undefined {
  return fields.get(name)?.value || undefined;
}

/** Whether the field is there with any value but empty, `false` and `0`. */
export function isOn(fields: PortFields, name: string): boolean {
  return !/^(false|0|)$/i.test(fields.get(name)?.value ?? '');
}

/** A field that is `true` or `false`; undefined, with a notice, where it is neither. */
export function flag(fields: PortFields, name: string, report: Report): boolean | undefined {
  const field = fields.get(name);
  if (field === undefined || field.value === '') return undefined;
  const on = parseBoolean(field.value);
  if (on === undefined) refuse(field, 'neither true nor false', report);
  return on;
}

/** A field that is a whole number from 1 to 65535, such as a port, or a weight in an SRV record or in Consul. */
export function numberField(fields: PortFields, name: string, report: Report): number | undefined {
  const field = fields.get(name);
  if (field === undefined || field.value === '') return undefined;
  const number = portNumber(field.value);
  if (number === undefined) refuse(field, 'no whole number from 1 to 65535', report);
  return number;
}

/** Says that a field's value is wrong, and that it does not count. */
export function refuse({ key, value }: Field, what: string, report: Report): void {
  report.say('warn', `${quote(key)} is ${quote(value)}, which is ${what}; it is ignored.`);
}

/** Fields with a meaning of their own, which are no metadata. */
const OWN = new Set([
  'id',
  'name',
  'tags',
  'ignore',
  'ip',
  'port',
  'internal',
  'weight',
  'network',
  'drain',
  'require_healthy',
]);

/** Every other field, the `check_*` ones included, as gliderlabs/registrator sends them: by name, and within bounds. */
export function metadata(fields: PortFields, report: Report): Readonly<Record<string, string>> {
  const pairs = [...withinPairs(fields, report).values()].filter(({ name }) => !OWN.has(name));
  const { fit = [], key = [], value = [] } = Object.groupBy(pairs, whatIsLong);
  report.leaveOut(keysOf(key), `no metadata: the key has more than ${MAX_META_KEY} characters`);
  // A check is made of its own field all the same.
  const others = value.filter(({ name }) => !name.startsWith('check_'));
  report.leaveOut(keysOf(others), `no metadata: the value has more than ${MAX_META_VALUE} bytes`);
  return Object.fromEntries(fit.map(({ name, value }) => [name, value] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function whatIsLong({ name, value }: Field): 'fit' | 'key' | 'value' {
  if (name.length > MAX_META_KEY) return 'key';
  return isOver(MAX_META_VALUE, value) ? 'value' : 'fit';
}

/** With no more metadata than a service may have. Checks come first: those are asked for in earnest. */
function withinPairs(fields: PortFields, report: Report): PortFields {
  if (fields.size <= MAX_META_PAIRS) return fields;
  const rank = ({ name }: Field) => (name.startsWith('check_') ? 0 : 1);
  const others = [...fields.values()].filter(({ name }) => !OWN.has(name));
  const sorted = others.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  const beyond = new Set(sorted.slice(MAX_META_PAIRS));
  report.leaveOut(keysOf([...beyond]), `beyond the ${MAX_META_PAIRS} pairs of a service's metadata`);
  return new Map([...fields].filter(([, field]) => !beyond.has(field)));
}
