import { type Command, CommanderError } from 'commander';
import { compact } from '../lib/compact.ts';
import type { Environment } from '../lib/environment.ts';
import type { Options } from '../options.ts';
import { type FlagNames, flagsFromEnvironment, toGnu } from './arguments.ts';
import { toOptions, UsageError } from './program.ts';

/** What was asked for: to run, or one of the commands that look and end. */
export type Invocation = (
  | { readonly command: 'run' }
  | { readonly command: 'check'; readonly container?: string; readonly json: boolean }
  | { readonly command: 'ls'; readonly json: boolean }
  | { readonly command: 'cleanup'; readonly dryRun: boolean }
) & {
  readonly options: Options;
  /** `--plugin`: modules whose registries are to be in `options.plugins`. */
  readonly plugins: readonly string[];
};

/**
 * What the command line asks for, with options from it, else from the environment, else the defaults.
 * @throws UsageError with one sentence, or commander's own error with exit code 0 after --help or --version
 */
export function readCommandLine(program: Command, argv: readonly string[], env: Environment): Invocation {
  const names = flagNames(program);
  const fromEnv = flagsFromEnvironment(env, names);
  if (fromEnv.error !== undefined) throw new UsageError(fromEnv.error);
  let chosen: { command: Command; operands: readonly (string | readonly string[] | undefined)[] } = {
    command: program,
    operands: [],
  };
  for (const command of [program, ...program.commands]) {
    command.action(() => {
      chosen = { command, operands: command.processedArgs };
    });
  }
  try {
    // The later of two values wins: so the command line's.
    program.parse([...fromEnv.argv, ...toGnu(argv, names)], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode !== 0) throw new UsageError(sentence(error.message));
    throw error;
  }
  const { command, operands } = chosen;
  const words = operands.flat().filter((word) => word !== undefined);
  const uris = command.name() === 'check' ? words.filter(isUri) : words;
  const [container, extra] = words.filter((word) => !isUri(word));
  if (command.name() === 'check' && extra !== undefined) {
    throw new UsageError('Too many arguments: check takes one container, and URIs. See registrator --help.');
  }
  return {
    ...asked(command, container),
    options: toOptions(program, uris.length > 0 ? uris : registriesOf(env)),
    plugins: program.opts().plugin ?? [],
  };
}

const isUri = (word: string) => /^[a-z0-9+.-]+:\/\//i.test(word);

function asked(command: Command, container: string | undefined) {
  const { json = false, dryRun = false } = command.opts();
  switch (command.name()) {
    case 'check':
      return compact({ command: 'check' as const, json, container });
    case 'ls':
      return { command: 'ls' as const, json };
    case 'cleanup':
      return { command: 'cleanup' as const, dryRun };
    default:
      return { command: 'run' as const };
  }
}

const registriesOf = (env: Environment) => (env.REGISTRATOR_REGISTRY ?? '').split(/\s+/).filter(Boolean);

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
