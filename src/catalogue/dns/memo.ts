const MOST = 1_000;
/** Bytes; a longer query is rare, and hostile more often than not. */
const LONGEST = 300;

/**
 * Encoded DNS replies, kept until the catalogue changes. The key is the query's bytes without its ID (the first two). Only
 * for replies with one record: with several, their order is drawn by lot for each query. To encode a reply is half the
 * work of a query, and most replies have one record.
 */
export class ReplyMemo {
  readonly #replies = new Map<string, Buffer>();
  #index = -1;

  /** @param index of the catalogue, which grows with each change. @returns a copy with this query's ID */
  find(query: Buffer, index: number): Buffer | undefined {
    if (index !== this.#index) this.#replies.clear();
    this.#index = index;
    const known = this.#replies.get(keyOf(query));
    if (known === undefined) return undefined;
    const reply = Buffer.from(known);
    query.copy(reply, 0, 0, 2);
    return reply;
  }

  /** For the index of the last `find`. */
  keep(query: Buffer, reply: Buffer): void {
    if (query.length <= LONGEST && this.#replies.size < MOST) this.#replies.set(keyOf(query), reply);
  }
}

const keyOf = (query: Buffer) => query.toString('latin1', 2);
