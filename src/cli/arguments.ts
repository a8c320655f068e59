import { parseBoolean } from '../lib/boolean.ts';
import type { Environment } from '../lib/environment.ts';

/** Spellings of gliderlabs/registrator and fayrus/registrator that are not ours with another dash. */
const OLD_NAMES: Readonly<Record<string, string>> = { useIpFromLabel: 'use-ip-from-label' };

export interface FlagNames {
  /** Long names without dashes. */
  readonly all: ReadonlySet<string>;
  /** Those that take no value. */
  readonly boolean: ReadonlySet<string>;
}

/**
 * Turns Go's flag syntax, which registrator's users have in their scripts, into GNU's: one dash, `=` or space, and
 * `=true` or `=false` behind a flag without a value. What is not a known flag stays as it is.
 */
export function toGnu(argv: readonly string[], names: FlagNames): string[] {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  return [...flags.flatMap((argument) => toGnuArgument(argument, names)), ...(end === -1 ? [] : argv.slice(end))];
}

function toGnuArgument(argument: string, { all, boolean }: FlagNames): string[] {
  const [, given = '', value] = /^--?([a-zA-Z][\w-]*)(?:=(.*))?$/s.exec(argument) ?? [];
  const name = OLD_NAMES[given] ?? given;
  if (!all.has(name)) return [argument];
  if (value === undefined || !boolean.has(name)) return [value === undefined ? `--${name}` : `--${name}=${value}`];
  switch (setting(value)) {
    case true:
      return [`--${name}`];
    case false:
      return [];
    default:
      return [argument];
  }
}

/** The environment's flags in the form that commander takes: a false one of a flag without a value is an unset one. */
export function flagsFromEnvironment(env: Environment, names: FlagNames): { argv: string[]; error?: string } {
  const argv: string[] = [];
  for (const name of names.all) {
    const variable = `REGISTRATOR_${name.toUpperCase().replaceAll('-', '_')}`;
    const value = env[variable];
    if (value === undefined) continue;
    if (!names.boolean.has(name)) {
      if (value !== '') argv.push(`--${name}=${value}`);
      continue;
    }
    const on = setting(value);
    if (on === undefined) return { argv, error: `${variable} must be true or false, not "${value}".` };
    if (on) argv.push(`--${name}`);
  }
  return { argv };
}

/** Nothing means false: a variable that a compose file leaves empty. */
const setting = (value: string) => (value === '' ? false : parseBoolean(value));
