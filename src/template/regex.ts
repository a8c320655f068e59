import { type Context, createContext, Script } from 'node:vm';
import { quote } from '../lib/quote.ts';
import type { Budget } from './budget.ts';
import { EvaluationError } from './syntax.ts';

/** Only a script of node:vm has a time limit, and a backtracking match may take for ever. */
const MATCH = new Script('texts.filter((text) => regex.test(text))');
let context: Context | undefined;

/**
 * Those of the texts that match a regular expression as Go writes it, as far as JavaScript knows it: without `[[:alpha:]]`
 * and `\pL`, and with flags (`(?i)`) at its beginning only.
 */
export function matching(pattern: string, texts: readonly string[], budget: Budget): readonly string[] {
  const regex = compile(pattern);
  context ??= createContext(Object.create(null));
  Object.assign(context, { regex, texts });
  try {
    return [...(budget.timed((timeout) => MATCH.runInContext(context ?? {}, { timeout })) as string[])];
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new EvaluationError(`the regular expression ${quote(pattern)} takes too long`);
  }
}

function compile(pattern: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([ims]+)\))?(.*)$/s.exec(pattern) ?? [];
  try {
    return new RegExp(rest.replaceAll('(?P<', '(?<').replaceAll('\\z', '$').replaceAll('\\A', '^'), flags);
  } catch {
    throw new EvaluationError(`${quote(pattern)} is no regular expression`);
  }
}
