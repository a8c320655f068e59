#!/usr/bin/env node
import { CommanderError } from 'commander';
import { createProgram, readCommandLine, UsageError } from './cli/index.ts';
import { createLogger, type Logger } from './ops/index.ts';
import type { Options } from './options.ts';
import { Registrator } from './registrator.ts';
import { version } from './version.ts';

/** Exit codes: 0 stopped as told, 1 could not go on, 2 was started wrongly. */
const FAILED = 1;
const WRONG_USAGE = 2;

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readCommandLine(createProgram(version()), process.argv.slice(2), process.env);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof UsageError) return complain(error.message, WRONG_USAGE);
    throw error;
  }
  return run(options, await createLogger(options.logLevel, options.logFormat));
}

async function run(options: Options, log: Logger): Promise<number> {
  survive(log);
  const stopped = stopSignal(log);
  let registrator: Registrator;
  try {
    registrator = new Registrator(options, process.env, log);
    await registrator.checkRegistries();
  } catch (error) {
    return complain((error as Error).message, WRONG_USAGE);
  }
  log.info({ version: version() }, 'registrator starts');
  const end = await Promise.race([registrator.run().then(undefined, (error: Error) => error), stopped]);
  await registrator.stop();
  if (end instanceof Error) {
    log.fatal({ err: end.message }, 'registrator cannot go on');
    return FAILED;
  }
  log.info('registrator has stopped');
  return 0;
}

/** Resolves at the first SIGTERM or SIGINT; the second ends the process at once. */
function stopSignal(log: Logger): Promise<string> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) process.exit(FAILED);
      stopping = true;
      log.info({ signal }, 'stopping; once more ends at once');
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** A defect in one corner is no reason to leave a whole host without its registry: it is told of, and the rest goes on. */
function survive(log: Logger): void {
  const tell = (error: unknown) => {
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    log.error(
      { err: message, stack },
      'an unexpected error, which is a defect of registrator: please report it; registrator goes on',
    );
  };
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
}

function complain(sentence: string, code: number): number {
  process.stderr.write(`registrator: ${sentence}\n`);
  return code;
}

process.exit(await main());
