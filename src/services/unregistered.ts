import type { Derivation, IgnoredPort } from './options.ts';

/** Why a container's ports are not registered, or why it has none; empty where all are. `-` stands for no port. */
export function unregistered({ services, ignored }: Pick<Derivation, 'services' | 'ignored'>): readonly IgnoredPort[] {
  if (services.length > 0 || ignored.length > 0) return ignored;
  return [{ port: '-', reason: 'it has no port: neither its image nor docker run exposes or publishes one' }];
}
