/**
 * A boolean as people write it, in any case: `true`, `1`, `t`, `yes` or `on`, and the opposites of these. What Go's
 * `strconv.ParseBool` takes is among them.
 *
 * @returns undefined where it is neither
 */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|true|yes|on)$/i.test(text)) return true;
  return /^(0|f|false|no|off)$/i.test(text) ? false : undefined;
}
