/**
 * Splits a command line into words as a POSIX shell does: quotes and backslashes, and nothing else. Operators, globs,
 * comments and variables stay the characters that they are, for no shell is going to read them. (The shell-quote
 * package gives all of these a meaning, and takes an open quote for a closed one.)
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

/** Blanks, 'single', "double", an escaped character, a quote that is not closed, or plain characters. */
const TOKEN = /([ \t\n]+)|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.?)|(['"])|[^ \t\n'"\\]+/gs;
