/**
 * Does the work for every item, on so many of them at once: each lane takes the next item when it is done with one.
 * Rejects with the first failure; no lane takes another item then.
 */
export async function forEachConcurrent<T>(
  items: Iterable<T>,
  lanes: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = once(items);
  const lane = async () => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** A generator: unlike an array's iterator, it ends for every lane when one of them leaves its loop. */
function* once<T>(items: Iterable<T>): Generator<T> {
  yield* items;
}
