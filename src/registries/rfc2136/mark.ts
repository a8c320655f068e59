import { isIP } from 'node:net';
import { decodeSegment, encodeSegment } from '../kit/index.ts';

/**
 * What the TXT record beside an instance says: whose it is, and all that its other records follow from. So of any of
 * them it is known whether it is there for an instance, and for which.
 */
export interface Mark {
  readonly host: string;
  readonly engine: string;
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  /** Of the SRV record. */
  readonly weight: number;
  /** None where tags have no names. */
  readonly tags: readonly string[];
}

const HERITAGE = 'heritage=registrator';
/** Bytes of one string of a TXT record. */
const STRING = 255;

/** `heritage=registrator,host=…,engine=…,id=…,…`, in as many strings as it takes. */
export function encodeMark({ tags, ...mark }: Mark): readonly Buffer[] {
  const { host, engine, id, name, address, port, protocol, weight } = mark;
  const fields = Object.entries({ host, engine, id, name, address, port, protocol, weight });
  const pairs = [...fields, ...tags.map((tag) => ['tag', tag] as const)];
  const text = [HERITAGE, ...pairs.map(([key, value]) => `${key}=${encodeValue(String(value))}`)].join(',');
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.length / STRING) }, (_, n) =>
    bytes.subarray(n * STRING, (n + 1) * STRING),
  );
}

/** @returns undefined for a text that no registrator wrote */
export function decodeMark(strings: readonly Buffer[]): Mark | undefined {
  const [heritage, ...pairs] = Buffer.concat(strings).toString().split(',');
  if (heritage !== HERITAGE) return undefined;
  const tags: string[] = [];
  const fields = new Map<string, string>();
  for (const pair of pairs) {
    const [key = '', ...rest] = pair.split('=');
    const value = decodeValue(rest.join('='));
    if (key === 'tag') tags.push(value);
    else fields.set(key, value);
  }
  const [host, engine, id, name] = ['host', 'engine', 'id', 'name'].map((key) => fields.get(key));
  const [address = '', protocol = ''] = ['address', 'protocol'].map((key) => fields.get(key));
  const [port, weight] = ['port', 'weight'].map((key) => uint16(fields.get(key)));
  if (host === undefined || engine === undefined || id === undefined || name === undefined) return undefined;
  if (isIP(address) === 0 || !/^(tcp|udp|sctp)$/.test(protocol) || port === undefined || weight === undefined)
    return undefined;
  return { host, engine, id, name, address, port, protocol, weight, tags };
}

/** A comma stands between two fields. */
const encodeValue = (text: string) => encodeSegment(text).replaceAll(',', '%2C');
const decodeValue = (text: string) => decodeSegment(text.replaceAll('%2C', ','));

const uint16 = (text = '') => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined);
