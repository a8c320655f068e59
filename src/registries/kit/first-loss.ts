/** What tells of a loss, as `Registry.lost` does. */
interface Part {
  lost(signal: AbortSignal): Promise<string>;
}

/** The first loss that a part of a registry tells of; then, and on abort, the others are no longer listened to. */
export async function firstLoss(parts: readonly Part[], signal: AbortSignal): Promise<string> {
  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  try {
    return await Promise.race(parts.map((part) => part.lost(either)));
  } finally {
    settled.abort();
  }
}
