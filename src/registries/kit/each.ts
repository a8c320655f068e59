import pMap from 'p-map';
import { asError } from '../../lib/as-error.ts';
import { batches } from '../../lib/batches.ts';
import { BatchError } from '../registry.ts';

/**
 * Does for each item what a registry takes only singly, so many at once; a failure stops none of the rest.
 * @throws BatchError with those that failed
 */
export async function each<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  concurrency: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const failures = new Map<string, Error>();
  const attempt = async (item: T) => {
    try {
      await work(item);
    } catch (error) {
      const key = keyOf(item);
      // Work that is a batch of one has wrapped what went wrong.
      failures.set(key, asError(error instanceof BatchError ? (error.failures.get(key) ?? error) : error));
    }
  };
  const [first] = items;
  // Batches of one are what a registry without transactions is given.
  if (first !== undefined && items.length === 1) await attempt(first);
  else await pMap(items, attempt, { concurrency });
  if (failures.size > 0) throw new BatchError(failures);
}

/**
 * Does the work for so many items at a time, one batch after the other. What failed of one batch stops none of the rest;
 * a batch that failed as a whole does.
 * @throws BatchError with what failed of every batch, else the error of the batch that failed as a whole
 */
export async function inBatches<T>(
  items: readonly T[],
  size: number,
  work: (batch: readonly T[]) => Promise<void>,
): Promise<void> {
  const failures = new Map<string, Error>();
  for (const batch of batches(items, size)) {
    await work(batch).catch((error: unknown) => {
      if (!(error instanceof BatchError)) throw error;
      for (const [key, failure] of error.failures) failures.set(key, failure);
    });
  }
  if (failures.size > 0) throw new BatchError(failures);
}
