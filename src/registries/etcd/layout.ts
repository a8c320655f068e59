import { hostPort, parseHostPort } from '../../lib/host-port.ts';
import type { Service } from '../../services/index.ts';
import { decodeSegment, encodeSegment, isOwnId } from '../kit/index.ts';
import { type Entry, type Owner, RefusedError } from '../registry.ts';

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
interface Claim {
  readonly owner: string;
  readonly engine: string;
  readonly name: string;
  readonly id: string;
}

export const claimKey = (layout: Layout, key: string) => `${layout.claims}/${encodeSegment(key)}`;
export const claimedKey = (layout: Layout, claimKey: string) => decodeSegment(claimKey.slice(layout.claims.length + 1));

export function claimValue({ host, engine }: Owner, { name, id }: Pick<Service, 'name' | 'id'>): string {
  return JSON.stringify({ owner: host, engine, name, id } satisfies Claim);
}

function parseClaim(value: string): Claim | undefined {
  try {
    const { owner, engine, name, id } = JSON.parse(value) as Record<string, unknown>;
    const texts = [owner, engine, name, id].every((text) => typeof text === 'string');
    return texts ? ({ owner, engine, name, id } as Claim) : undefined;
  } catch {
    return undefined;
  }
}

export function isOwnClaim({ host, engine }: Owner, value: string): boolean {
  const claim = parseClaim(value);
  return claim !== undefined && (claim.owner === host || claim.engine === engine);
}

/** `<host>:<container name>:<exposed port>[:udp|:sctp]` of any host but ours. */
export function isAnothersId(owner: Owner, id: string): boolean {
  const host = id.slice(0, Math.max(0, id.indexOf(':')));
  return host !== '' && host !== owner.host && isOwnId(host, id);
}

/** @param claim of somebody else; undefined where the ID alone says whose the entry is */
export function claimedByOther({ key }: Entry, claim: string | undefined): RefusedError {
  const whose = claim === undefined ? 'another host' : `registrator on host "${parseClaim(claim)?.owner ?? 'unknown'}"`;
  return new RefusedError(
    `The key ${key} in etcd is that of ${whose}: give the container another SERVICE_ID, or delete the key if that host is gone.`,
  );
}

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
 * The entries that are ours: because the key shows our host, because a claim beside it names us, or because `known` has
 * it. A claim of ours whose key is gone counts as an entry as well, with content that equals no service's: so the
 * reconciler either writes the key anew or removes the claim.
 *
 * @param claims everybody's, by claimed key
 * @param known keys that are ours though there is no claim
 */
export function ownEntries(
  layout: Layout,
  owner: Owner,
  stored: readonly Stored[],
  claims: ReadonlyMap<string, string>,
  known: ReadonlySet<string>,
): Entry[] {
  const byKey = new Map(stored.map((one) => [one.key, one]));
  const entries: Entry[] = [];
  for (const [key, { value, bound }] of byKey) {
    const parts = partsOf(layout, key);
    if (parts === undefined) continue;
    const claim = claims.get(key);
    const own = isOwnId(owner.host, parts[1]) || (claim === undefined ? known.has(key) : isOwnClaim(owner, claim));
    if (!own) continue;
    const { name = parts[0], id = parts[1] } = parseClaim(claim ?? '') ?? {};
    const { address = '', port = 0 } = layout.parse(value) ?? {};
    entries.push({ key, content: `${value}${bound}`, id, name, address, port });
  }
  for (const [key, value] of claims) {
    const claim = parseClaim(value);
    if (byKey.has(key) || claim === undefined || !isOwnClaim(owner, value) || !partsOf(layout, key)) continue;
    entries.push({ key, content: 'gone', id: claim.id, name: claim.name, address: '', port: 0 });
  }
  return entries;
}
