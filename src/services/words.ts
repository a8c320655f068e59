/**
 * Splits a command line into words as a POSIX shell does: quotes and backslashes, and nothing else. Comments and
 * variables stay the characters that they are, for no shell is going to read them; what only a shell can do,
 * `needsShell` tells. (The shell-quote package gives all of these a meaning, and takes an open quote for a closed one.)
 *
 * @returns undefined when a quote is not closed
 */
export function shellWords(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (const [plain, blank, single, double, escaped, open] of line.matchAll(TOKEN)) {
    if (open !== undefined) return undefined;
    if (blank !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (escaped !== '\n') {
      word = (word ?? '') + (single ?? double?.replace(/\\(?:([$`"\\])|\n)/g, '$1') ?? (escaped || plain));
    }
  }
  return word === undefined ? words : [...words, word];
}

/**
 * Whether a command line means more than its words: it has an operator (`|`, `&&`, `>`, `;` …), a glob or a command
 * substitution outside of quotes. The query of a URL (`?a=1&b=2`) has none of these: people leave it unquoted.
 */
export function needsShell(line: string): boolean {
  return [...line.matchAll(TOKEN)].some(
    ([token, blank, single, double, escaped]) =>
      [blank, single, double, escaped].every((part) => part === undefined) && OPERATOR.test(token.replace(URL, '')),
  );
}

const OPERATOR = /[|&;<>()*?[`]/;
/** Up to what ends it in a shell, but for the `&` before another parameter. */
const URL = /^[a-z]+:\/\/(?:[^|&;<>()`]|&(?=[\w.%-]+=))*/i;

/** Blanks, 'single', "double", an escaped character, a quote that is not closed, or plain characters. */
const TOKEN = /([ \t\n]+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.?)|(['"])|[^ \t\n'"\\]+/gs;
