import { type Command, CommanderError } from 'commander';
import type { Options } from '../options.ts';
import { type FlagNames, flagsFromEnvironment, toGnu } from './arguments.ts';
import { toOptions, UsageError } from './program.ts';

/**
 * Options from the command line, else the environment, else the defaults.
 * @throws UsageError with one sentence, or commander's own error with exit code 0 after --help or --version
 */
export function readCommandLine(
  program: Command,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Options {
  const names = flagNames(program);
  const fromEnv = flagsFromEnvironment(env, names);
  if (fromEnv.error !== undefined) throw new UsageError(fromEnv.error);
  try {
    // The later of two values wins: so the command line's.
    program.parse([...fromEnv.argv, ...toGnu(argv, names)], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode !== 0) throw new UsageError(sentence(error.message));
    throw error;
  }
  const uris = program.args.length > 0 ? program.args : (env.REGISTRATOR_REGISTRY ?? '').split(/\s+/).filter(Boolean);
  return toOptions(program, uris);
}

function flagNames(program: Command): FlagNames {
  const long = program.options.map((option) => ({ name: (option.long ?? '').replace(/^--/, ''), option }));
  return {
    all: new Set(long.map(({ name }) => name).concat('help')),
    boolean: new Set(long.filter(({ option }) => option.isBoolean()).map(({ name }) => name)),
  };
}

/** commander's words, as one sentence that says where to look. */
function sentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replace(/\s+/g, ' ')
    .trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}. See registrator --help.`;
}
