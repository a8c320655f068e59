/** Characters of a field's value; sentences, which may quote several, and stacks get more. */
const VALUE = 200;
const SENTENCE = 1_000;
const SENTENCES: readonly string[] = ['msg', 'err', 'stack', 'message'];
/** Values of a list. */
const LISTED = 10;

/** A line's fields as they are written: what comes from outside may be of any length. */
export function cutFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  let cut: Record<string, unknown> = fields;
  for (const [key, value] of Object.entries(fields)) {
    const shown = cutValue(key, value);
    // Most lines have nothing to cut: they are as they come.
    if (shown === value) continue;
    if (cut === fields) cut = { ...fields };
    cut[key] = shown;
  }
  return cut;
}

export const cutSentence = (text: string) => cut(text, SENTENCE);

function cutValue(key: string, value: unknown): unknown {
  if (typeof value === 'string') return cut(value, SENTENCES.includes(key) ? SENTENCE : VALUE);
  if (!Array.isArray(value)) return value;
  const more = value.length > LISTED ? [`and ${value.length - LISTED} more`] : [];
  return [...value.slice(0, LISTED).map((each) => cutValue('', each)), ...more];
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
}
