/** Splits at commas; `\,` is a comma itself, and empty parts are dropped. */
export function splitAtCommas(text: string): readonly string[] {
  return text
    .split(/(?<!\\),/)
    .map((part) => part.replaceAll('\\,', ','))
    .filter((part) => part !== '');
}
