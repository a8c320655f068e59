import { BatchError, type Entry, type Registry } from '../../src/registries/index.ts';
import type { Service } from '../../src/services/index.ts';

export const byKey = (entries: readonly Entry[]) => new Map(entries.map((entry) => [entry.key, entry]));

/** What the registry would hold of these services, by key. */
export const entriesOf = (registry: Registry, services: readonly Service[]) =>
  byKey(services.map((service) => registry.entry(service)));

/** What failed of a batch, by key; rejects where it failed as a whole. */
export async function failuresOf(call: Promise<void>): Promise<ReadonlyMap<string, Error>> {
  try {
    await call;
    return new Map();
  } catch (error) {
    if (error instanceof BatchError) return error.failures;
    throw error;
  }
}
