import { LRUCache } from 'lru-cache';
import { RE2JS } from 're2js';
import { quote } from '../lib/quote.ts';
import type { Budget } from './budget.ts';
import { EvaluationError } from './syntax.ts';

/** Steps for each character of a pattern, as often as it is repeated, and for each class of Unicode that it names. */
const COMPILE_CHARACTER = 3;
const COMPILE_CLASS = 2_500;
/** RE2 allows no more repetitions, nested ones multiplied. */
const MAX_REPEAT = 1_000;
/** Positions times instructions that cost as much as one step. */
const STEP_MATCHING = 8;

/** Most are of `--tags`, and the same for every container. */
const compiled = new LRUCache<string, RE2JS>({ max: 32 });

/**
 * Those of the texts that match a regular expression as Go has it. RE2 takes a time that is linear in the text, and in
 * the pattern written out: both are paid for before.
 */
export function matching(pattern: string, texts: readonly string[], budget: Budget): readonly string[] {
  budget.spend(compileSteps(pattern));
  const regex = compiled.get(pattern) ?? compile(pattern);
  compiled.set(pattern, regex);
  return texts.filter((text) => {
    budget.spend(1 + Math.ceil((text.length * regex.programSize()) / STEP_MATCHING));
    return regex.test(text);
  });
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch {
    throw new EvaluationError(`${quote(pattern)} is no regular expression`);
  }
}

/** `a{3,10}` is compiled as ten of it. */
function compileSteps(pattern: string): number {
  const counts = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)];
  const repeat = counts.reduce((product, [, least, most]) => product * Math.max(1, Number(most || least)), 1);
  const classes = pattern.match(/\\p/gi)?.length ?? 0;
  return pattern.length * Math.min(repeat, MAX_REPEAT) * COMPILE_CHARACTER + classes * COMPILE_CLASS;
}
