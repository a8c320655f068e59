/** Nanoseconds in each unit of a Go duration. Both micro signs are taken. */
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const MAX = 2n ** 63n - 1n;

/** Longer text is no duration that anybody writes. */
const LONGEST = 100;

/**
 * Reads a duration as Consul does, by Go's `time.ParseDuration`: `10s`, `1m30s`, `1.5h`, `-3ms`, `0`.
 *
 * @returns nanoseconds; undefined for what Consul would refuse
 */
export function parseDuration(text: string): bigint | undefined {
  if (text.length > LONGEST) return undefined;
  const [, sign, rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0n;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of rest.matchAll(/(\d*)\.?(\d*)(\D+)/g)) {
    const scale = UNITS[unit] ?? 0n;
    total += BigInt(whole || '0') * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length);
  }
  if (total > MAX) return undefined;
  return sign === '-' ? -total : total;
}
