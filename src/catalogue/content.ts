import type { Service } from '../services/index.ts';

/**
 * What the catalogue shows of a service, as one line: equal lines are equal entries. Without its health, which changes
 * by itself, and without where it comes from.
 */
export function contentOf(service: Service): string {
  const { name, address, port, protocol, tags, weight, enableTagOverride } = service;
  const meta = Object.entries(service.meta).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    name,
    address,
    port,
    protocol,
    tags,
    meta,
    weight ?? 1,
    enableTagOverride ?? false,
    checkContent(service) ?? null,
  ]);
}

/** The check as one line; equal lines are the same check, whose state stays as it is. */
export function checkContent({ check }: Service): string | undefined {
  if (check === undefined) return undefined;
  return JSON.stringify(Object.entries(check).sort(([a], [b]) => (a < b ? -1 : 1)));
}
