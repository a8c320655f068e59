import { builtinFunctions } from './builtin-functions.ts';
import { registratorFunctions } from './registrator-functions.ts';
import type { TemplateFunction } from './values.ts';

export const functions: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({ ...builtinFunctions, ...registratorFunctions }),
);

/** `and` and `or` are no functions in earnest: they evaluate no more arguments than they need. */
export const signatures: ReadonlyMap<string, readonly [number, number]> = new Map([
  ['and', [1, Number.POSITIVE_INFINITY]],
  ['or', [1, Number.POSITIVE_INFINITY]],
  ...[...functions].map(([name, { takes }]): [string, readonly [number, number]] => [name, takes]),
]);
