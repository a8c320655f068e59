import { EvaluationError } from './syntax.ts';

const STEPS = 100_000;
const REGEX_MILLISECONDS = 100;
/** Characters of the longest text that a template may hold in hand. */
export const MAX_TEXT = 1_000_000;
/** Characters that cost as much as one step. */
const STEP_CHARACTERS = 256;

/** How much work templates may make: a label's text decides over it, and anybody may write one. */
export class Budget {
  #steps = STEPS;
  #regexMilliseconds = REGEX_MILLISECONDS;

  spend(steps = 1): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw new EvaluationError('it takes too many steps');
  }

  /** To be called before so long a text is made. */
  spendText(length: number): void {
    if (length > MAX_TEXT) throw new EvaluationError(`it makes a text of more than ${MAX_TEXT} characters`);
    this.spend(Math.ceil(length / STEP_CHARACTERS));
  }

  /** Runs a match, which gets a time limit in milliseconds. */
  timed<T>(match: (limit: number) => T): T {
    if (this.#regexMilliseconds < 1) throw new EvaluationError('its regular expressions take too long');
    const start = performance.now();
    try {
      return match(Math.ceil(this.#regexMilliseconds));
    } finally {
      this.#regexMilliseconds -= performance.now() - start;
    }
  }
}
