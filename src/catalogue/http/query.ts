import { parseDuration } from '../../services/index.ts';
import { ApiError } from './error.ts';
import { parseFilter } from './filter.ts';

/** Milliseconds. Consul's own default and limit of a blocking query. */
const DEFAULT_WAIT = 5 * 60_000;
const MAX_WAIT = 10 * 60_000;

/** Everything is in the default one of each. */
const ENTERPRISE = [
  ['ns', 'Namespaces'],
  ['partition', 'Partitions'],
] as const;

/** The parameters that all of Consul's read endpoints take. */
export class QueryParameters {
  readonly #raw: URLSearchParams;

  constructor(raw: URLSearchParams) {
    this.#raw = raw;
  }

  /** The first value; undefined where it is absent. */
  one(key: string): string | undefined {
    return this.#raw.get(key) ?? undefined;
  }

  all(key: string): readonly string[] {
    return this.#raw.getAll(key);
  }

  has(key: string): boolean {
    return this.#raw.has(key);
  }

  /** A flag such as `?passing`, which stands alone or with a boolean as Go's strconv.ParseBool reads it. */
  flag(key: string): boolean {
    const value = this.one(key);
    if (value === undefined) return false;
    if (value === '' || /^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw new ApiError(400, `Invalid value for ?${key}`);
  }

  /** What Consul calls the consistency that an answer has; here each is as true as the next. */
  get consistency(): 'stale' | 'consistent' | 'leader' {
    return this.has('stale') ? 'stale' : this.has('consistent') ? 'consistent' : 'leader';
  }

  /** Refuses what Consul refuses of any query: another datacenter, contradictory consistency, what Enterprise has. */
  check(datacenter: string): void {
    if (this.has('stale') && this.has('consistent')) {
      throw new ApiError(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.');
    }
    const dc = this.one('dc');
    if (dc !== undefined && dc !== '' && dc !== datacenter) throw new ApiError(500, 'No path to datacenter');
    for (const [key, what] of ENTERPRISE) {
      const value = this.one(key) ?? '';
      if (value === '' || value === 'default') continue;
      throw new ApiError(
        400,
        `Bad request: Invalid query parameter: "${key}" - ${what} are a Consul Enterprise feature`,
      );
    }
  }

  /** `?index=`: wait for a change after it. */
  get index(): number {
    const text = this.one('index');
    if (text === undefined || text === '') return 0;
    const index = Number(text);
    if (!/^\d{1,20}$/.test(text) || !Number.isFinite(index)) throw new ApiError(400, 'Invalid index');
    return index;
  }

  /** `?wait=`, a Go duration, in milliseconds. */
  get wait(): number {
    const text = this.one('wait');
    if (text === undefined || text === '') return DEFAULT_WAIT;
    const nanoseconds = parseDuration(text);
    if (nanoseconds === undefined || nanoseconds < 0n) throw new ApiError(400, 'Invalid wait time');
    return nanoseconds === 0n ? DEFAULT_WAIT : Math.min(Number(nanoseconds / 1_000_000n), MAX_WAIT);
  }

  /** What `?filter=` keeps. */
  filtered<T>(entries: readonly T[]): readonly T[] {
    const expression = this.one('filter');
    return expression === undefined || expression === '' ? entries : entries.filter(parseFilter(expression));
  }
}
