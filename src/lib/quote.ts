const LONGEST = 100;
const LISTED = 10;

/** Text from outside as a message may show it: on one line, escaped, not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}

/** The first of them, and how many more there are. */
export function enumerate(items: readonly string[], name: (item: string) => string = (item) => item): string {
  const more = items.length > LISTED ? ` and ${items.length - LISTED} more` : '';
  return items.slice(0, LISTED).map(name).join(', ') + more;
}
