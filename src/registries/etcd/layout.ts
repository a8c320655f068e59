import * as v from 'valibot';
import { parsed } from '../../lib/checked.ts';
import { hostPort, parseHostPort } from '../../lib/host-port.ts';
import type { Service } from '../../services/index.ts';
import { decodeSegment, encodeSegment, Findings, holderOf, isOwnId, type Mark, ownership } from '../kit/index.ts';
import { ConflictError, type Entry, type Owner } from '../registry.ts';

/**
 * How services lie in etcd: at `<prefix>/<part>/<part>`, and nowhere else.
 *
 * Whose a key is, its ID says (`<host>:<container>:<port>`). Where it does not, there is a claim beside it: the key
 * `<claims>/<encoded key>`, which says who wrote it. The v2 API hides it from listings, for it begins with `_`.
 */
export interface Layout {
  /** Empty, or with a slash at its beginning and none at its end. */
  readonly prefix: string;
  /** The folder of the claims. */
  readonly claims: string;
  key(service: Pick<Service, 'name' | 'id'>): string;
  value(service: Pick<Service, 'address' | 'port'>): string;
  /** See `Registry.dnsName`. */
  dnsName?(serviceName: string): string;
  /** Undefined for a value that is none of this layout. */
  parse(value: string): { readonly address: string; readonly port: number } | undefined;
}

/** `<prefix>/<name>/<id>` = `<address>:<port>`, as gliderlabs/registrator lays it out. */
export function plainLayout(path: readonly string[]): Layout {
  const prefix = path.map((part) => `/${part}`).join('');
  return {
    prefix,
    claims: '/_registrator',
    key: ({ name, id }) => `${prefix}/${encodePart(name)}/${encodePart(id)}`,
    value: ({ address, port }) => hostPort(address, port).toWellFormed(),
    parse: (value) => {
      const { host: address = '', port } = parseHostPort(value) ?? {};
      return port === undefined ? undefined : { address, port };
    },
  };
}

/** A part that begins with `_` would be hidden in the v2 API, and could be taken for the claims' folder. */
function encodePart(text: string): string {
  return text.startsWith('_') ? `%5F${encodeSegment(text.slice(1))}` : encodeSegment(text);
}

function decodePart(part: string): string {
  const text = part.startsWith('%5F') ? `_${decodeSegment(part.slice(3))}` : decodeSegment(part);
  return encodePart(text) === part ? text : part;
}

/** Who wrote a key, in the claim beside it. CoreDNS, which may come across it, takes JSON without a `host` for no record. */
const CLAIM = v.object({ owner: v.string(), engine: v.string(), name: v.string(), id: v.string() });
type Claim = v.InferInput<typeof CLAIM>;

export const claimKey = (layout: Layout, key: string) => `${layout.claims}/${encodeSegment(key)}`;
export const claimedKey = (layout: Layout, claimKey: string) => decodeSegment(claimKey.slice(layout.claims.length + 1));

export function claimValue({ host, engine }: Owner, { name, id }: Pick<Service, 'name' | 'id'>): string {
  return JSON.stringify({ owner: host, engine, name, id } satisfies Claim);
}

const parseClaim = (value: string): Claim | undefined => parsed(CLAIM, value);

/** A claim is the mark of the key beside it; text that is none marks it as somebody's, and not ours. */
export function markOf(claim: string | undefined): Mark | undefined {
  if (claim === undefined) return undefined;
  const { owner: host, engine } = parseClaim(claim) ?? {};
  return { host, engine };
}

/** What is at a key, and what its claim says. */
export interface AtKey {
  /** Undefined where there is no such key. */
  readonly value: string | undefined;
  readonly claim: string | undefined;
}

/** Whether what is at a key is ours. @param known the values that we would write there, or have written */
export function isOwn(
  layout: Layout,
  owner: Owner,
  { id }: Entry,
  { value, claim }: AtKey,
  known: readonly (string | undefined)[],
): boolean {
  const { address = '' } = layout.parse(value ?? '') ?? {};
  const isWanted = value !== undefined && known.includes(value);
  return ownership(owner, { id, address, mark: markOf(claim), isWanted }) === 'own';
}

export const holder = ({ id }: Entry, { claim }: AtKey) => holderOf({ id, mark: markOf(claim) });
export const conflict = (key: string, holder: string) => new ConflictError(`The key ${key} in etcd`, holder);

/** Whether the key itself says that it is ours, so that it needs no claim. */
export function showsOwner(layout: Layout, owner: Owner, key: string): boolean {
  const id = partsOf(layout, key)?.[1];
  return id !== undefined && isOwnId(owner.host, id);
}

/** Name and ID, as far as the key shows them; undefined for a key that is at no place of this layout's. */
function partsOf({ prefix }: Layout, key: string): readonly [string, string] | undefined {
  if (!key.startsWith(`${prefix}/`)) return undefined;
  const parts = key.slice(prefix.length + 1).split('/');
  const [name, id] = parts;
  if (name === undefined || id === undefined || parts.length > 2 || name.startsWith('_')) return undefined;
  return [decodePart(name), decodePart(id)];
}

/** The mark, in an entry's content, of a key that expires, but not as long as this process lives. */
export const KEPT_ALIVE = ' (kept alive)';

/** What is in etcd at a key, and what `content` says beyond the value of how long it will be. */
export interface Stored {
  readonly key: string;
  readonly value: string;
  readonly bound: string;
}

/**
 * What this process wrote at a key, or found there with our claim: several values where calls got no answer, each of which
 * may be there.
 */
export interface Written {
  readonly entry: Entry;
  readonly values: readonly string[];
}

/**
 * Sorts what is in etcd. A claim of ours whose key is gone counts as an entry as well, with content that equals no
 * service's: so the reconciler either writes the key anew or removes the claim. So is an entry whose claim is lost, or
 * says another name of this host.
 *
 * @param claims everybody's, by claimed key; undefined where we may not read them
 * @param written what this process knows to be its own, whatever became of its claim
 */
export function findings(
  layout: Layout,
  owner: Owner,
  stored: readonly Stored[],
  claims: ReadonlyMap<string, string> | undefined,
  written: ReadonlyMap<string, Written>,
): Findings {
  const found = new Findings(owner);
  const keys = new Set<string>();
  for (const { key, value, bound } of stored) {
    const parts = partsOf(layout, key);
    if (parts === undefined) continue;
    keys.add(key);
    const claim = claims?.get(key);
    const known = claim === undefined && written.get(key)?.values.includes(value) ? written.get(key) : undefined;
    const { name = parts[0], id = parts[1] } = known?.entry ?? parseClaim(claim ?? '') ?? {};
    const { address = '', port = 0 } = layout.parse(value) ?? {};
    const isClaimed = claims === undefined || isOwnId(owner.host, parts[1]) || saysOwner(owner, claim);
    const content = `${value}${bound}${isClaimed ? '' : ' (without our claim)'}`;
    found.add({ key, content, id, name, address, port }, { mark: markOf(claim), isWanted: known !== undefined });
  }
  for (const [key, value] of claims ?? []) {
    const claim = parseClaim(value);
    if (keys.has(key) || claim?.owner !== owner.host || !partsOf(layout, key)) continue;
    const entry = { key, content: 'gone', id: claim.id, name: claim.name, address: '', port: 0 };
    found.add(entry, { mark: markOf(value) });
  }
  return found;
}

/** What a reading found to be ours: to be known for that, should its claim be lost. */
export function* knownBy({ own }: Findings, stored: readonly Stored[]): Iterable<readonly [string, Written]> {
  const values = new Map(stored.map(({ key, value }) => [key, value]));
  for (const entry of own) {
    const value = values.get(entry.key);
    if (value !== undefined) yield [entry.key, { entry, values: [value] }];
  }
}

function saysOwner({ host, engine }: Owner, claim: string | undefined): boolean {
  const mark = markOf(claim);
  return mark?.host === host && mark.engine === engine;
}
