import { EvaluationError } from './syntax.ts';

/** About 20 ms of work; what people write takes some hundred steps. */
const STEPS = 100_000;
/** Characters of the longest text that a template may make or hold. */
const MAX_TEXT = 262_144;
/** Characters that cost as much as one step to copy. */
const STEP_CHARACTERS = 128;

/** What is asked for takes more than the budget of the container. */
export class BudgetError extends EvaluationError {
  override readonly name = 'BudgetError';
}

/**
 * How much work one container may make: its labels decide over it, and anybody may write them. One is for everything
 * that is read of a container, so that many small things cost no more than a large one.
 */
export class Budget {
  #left: number;

  constructor(steps = STEPS) {
    this.#left = steps;
  }

  /** @throws BudgetError when nothing is left */
  spend(steps = 1): void {
    if (!this.reaches(steps)) throw new BudgetError('it takes too many steps');
  }

  /** Spends so many steps, if they are left. What is once too much leaves nothing: a smaller thing is not done either. */
  reaches(steps: number): boolean {
    this.#left = this.#left < steps ? 0 : this.#left - steps;
    return this.#left > 0;
  }

  /** To be called before so long a text is made. @throws EvaluationError */
  spendText(length: number): void {
    if (length > MAX_TEXT) throw new EvaluationError(`it makes a text of more than ${MAX_TEXT} characters`);
    this.spend(Math.ceil(length / STEP_CHARACTERS));
  }
}
