/** One line of the table. */
export interface Row {
  readonly measure: string;
  /** In words, as issue and README have it: `≤ 1.1 × floor`. */
  readonly reach: string;
  readonly reached: boolean;
  /** With their units, e.g. `15.2 ms`. */
  readonly floor?: string;
  readonly registrator: string;
  readonly ratio?: number;
  /** How many samples, and whatever else is to be known to read the figures. */
  readonly note: string;
}

/** A point of the plot: what so many containers cost. */
export interface Point {
  readonly series: string;
  readonly containers: number;
  readonly value: number;
}

export interface Outcome {
  readonly rows: readonly Row[];
  readonly points?: readonly Point[];
}

export interface BenchOptions {
  /** The program's script. */
  readonly program: string;
  /** The most containers at once. */
  readonly containers: number;
  /** How long the event storm lasts, in seconds. */
  readonly stormSeconds: number;
  /** How often what is sampled is sampled, a side. */
  readonly samples: number;
  /** Rounds of floor and subject in turn. */
  readonly rounds: number;
  /** Writes a line of progress. */
  readonly say: (line: string) => void;
}

export type Measure = (options: BenchOptions) => Promise<Outcome>;

/** The value below which so much of the samples lies (nearest rank); NaN of none. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (samples: readonly number[]) => quantile(samples, 0.5);

export const ms = (value: number) => (value < 100 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`);
export const seconds = (value: number) => `${(value / 1000).toFixed(2)} s`;
export const MiB = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
export const percent = (part: number) => `${(part * 100).toFixed(1)} %`;

/** A row that compares with the floor: reached where the ratio is at most `most`. */
export function comparison(
  measure: string,
  {
    floor,
    registrator,
    most,
    unit,
    note,
  }: { floor: number; registrator: number; most: number; unit: (value: number) => string; note: string },
): Row {
  const ratio = registrator / floor;
  return {
    ...{ measure, note, ratio, reached: ratio <= most, reach: `≤ ${most} × floor` },
    ...{ floor: unit(floor), registrator: unit(registrator) },
  };
}
