import type { Budget } from './budget.ts';
import { EvaluationError } from './syntax.ts';

/**
 * What a template works with: JSON, and undefined for the `<no value>` that Go's text/template has for a missing key of
 * a map.
 */
export type Value = unknown;

/** Whether an object is a map, as Go has it: its keys may be missing. Others are structs. */
export type IsMap = (value: object) => boolean;

/** What functions have beside their arguments. */
export interface Environment {
  readonly isMap: IsMap;
  readonly budget: Budget;
  /** @throws where there is no answer yet, or requests are not allowed */
  readonly httpGet: (url: string) => string;
}

/** One that templates may call. */
export interface TemplateFunction {
  /** The fewest and the most arguments. */
  readonly takes: readonly [number, number];
  /** @throws EvaluationError */
  readonly run: (args: readonly Value[], env: Environment) => Value;
}

/** By the name that templates call them. */
export type Functions = Readonly<Record<string, TemplateFunction>>;

export function isObject(value: Value): value is Readonly<Record<string, Value>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Go's truth: false for false, 0, nothing, and what has no elements; structs are true. */
export function isTrue(value: Value, env: Environment): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return !env.isMap(value) || keysOf(value, env).length > 0;
  return Boolean(value);
}

/** A value as Go's fmt prints it with `%v`. */
export function print(value: Value, env: Environment): string {
  env.budget.spend();
  if (value === undefined) return '<no value>';
  if (value === null) return '<nil>';
  if (Array.isArray(value))
    return `[${spaced(
      value.map((item) => print(item, env)),
      env,
    )}]`;
  if (!isObject(value)) {
    const text = String(value);
    env.budget.spendText(text.length);
    return text;
  }
  const keys = sortedKeys(value, env);
  return keys.length === 0 && !env.isMap(value)
    ? '{}'
    : `map[${spaced(
        keys.map((key) => `${key}:${print(value[key], env)}`),
        env,
      )}]`;
}

function spaced(parts: readonly string[], env: Environment): string {
  env.budget.spendText(parts.reduce((sum, part) => sum + part.length + 1, 0));
  return parts.join(' ');
}

/** In the order in which Go goes through a map. */
export function sortedKeys(map: Readonly<Record<string, Value>>, env: Environment): readonly string[] {
  const keys = keysOf(map, env);
  env.budget.spend(keys.length * 3);
  return keys.sort();
}

/** To go through the keys of a map with thousands takes a while. */
export function keysOf(map: Readonly<Record<string, Value>>, { budget }: Environment): string[] {
  const keys = Object.keys(map);
  budget.spend(keys.length);
  return keys;
}

/** What Go calls the kind of a value, in words. */
export function kindOf(value: Value): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return { string: 'text', number: 'a number', boolean: 'true or false' }[typeof value as string] ?? 'an object';
}

export function textOf(value: Value, what: string): string {
  if (typeof value !== 'string') throw new EvaluationError(`${what} has to be text and is ${kindOf(value)}`);
  return value;
}

export function integerOf(value: Value, what: string): number {
  if (!Number.isSafeInteger(value))
    throw new EvaluationError(`${what} has to be a whole number and is ${kindOf(value)}`);
  return value as number;
}

/** Nothing is an empty list, as in Go. */
function listOf(value: Value, what: string): readonly Value[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new EvaluationError(`${what} has to be a list and is ${kindOf(value)}`);
  return value;
}

export function textsOf(value: Value, what: string): readonly string[] {
  return listOf(value, what).map((item) => textOf(item, `each of ${what}`));
}
