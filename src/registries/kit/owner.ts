import type { Owner } from '../registry.ts';

/** The owner mark, in a registry's own metadata. */
const HOST_KEY = 'registrator-host';
const ENGINE_KEY = 'registrator-engine';

export function ownerMark(owner: Owner): Record<string, string> {
  return { [HOST_KEY]: owner.host, [ENGINE_KEY]: owner.engine };
}

/**
 * Whether an entry is this registrator's: one of its two marks is ours; or it has none, as gliderlabs/registrator
 * wrote them, and its ID is one that only our host gives out.
 */
export function isOwn(owner: Owner, id: string, meta: Readonly<Record<string, string>>): boolean {
  const host = meta[HOST_KEY];
  const engine = meta[ENGINE_KEY];
  if (host === undefined && engine === undefined) return isOwnId(owner.host, id);
  return host === owner.host || engine === owner.engine;
}

/** `<host>:<container name>:<exposed port>[:udp|:sctp]` of this host (container names as Docker allows them). */
export function isOwnId(host: string, id: string): boolean {
  return (
    id.startsWith(`${host}:`) && /^[a-zA-Z0-9][a-zA-Z0-9_.-]*:\d{1,5}(:udp|:sctp)?$/.test(id.slice(host.length + 1))
  );
}
