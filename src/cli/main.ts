#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { CommanderError } from 'commander';
import { createLogger, type Logger } from '../lib/log/index.ts';
import { observe, serveHttp } from '../ops/index.ts';
import type { Options } from '../options.ts';
import { Registrator } from '../registrator.ts';
import { type Invocation, readCommandLine } from './command-line.ts';
import { giveBackMemory } from './give-back-memory.ts';
import { loadPlugins } from './plugins.ts';
import { createProgram } from './program.ts';
import { version } from './version.ts';

/** Exit codes: 0 stopped as told, 1 could not go on, 2 was started wrongly. */
const FAILED = 1;
const WRONG_USAGE = 2;

async function main(): Promise<number> {
  // Dozens of calls may listen to one signal. Later versions of Node expect that; 22 would print a warning into the log.
  setMaxListeners(0);
  const program = createProgram(version());
  let invocation: Invocation;
  try {
    invocation = readCommandLine(program, process.argv.slice(2), process.env);
    const plugins = await loadPlugins(invocation.plugins);
    invocation = { ...invocation, options: { ...invocation.options, plugins } };
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return complain((error as Error).message, WRONG_USAGE);
  }
  const { options } = invocation;
  if (invocation.command === 'run') return run(options, await createLogger(options.logLevel, options.logFormat));
  const silent = await createLogger('silent', 'json');
  try {
    await checkSettings(options, silent);
  } catch (error) {
    return complain((error as Error).message, WRONG_USAGE);
  }
  try {
    process.stdout.write(await lookUp(invocation, silent));
    return 0;
  } catch (error) {
    return complain((error as Error).message, FAILED);
  }
}

/** @throws Error with one sentence when the settings of Docker or of a registry are wrong. Asks neither. */
async function checkSettings(options: Options, log: Logger): Promise<void> {
  const trial = new Registrator(options, process.env, log);
  await trial.checkRegistries();
  await trial.stop();
}

/** What a command that looks and ends prints. */
async function lookUp(invocation: Invocation, log: Logger): Promise<string> {
  const { check, cleanup, ls } = await import('./commands/index.ts');
  const { options } = invocation;
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Error('Stopped before the end.')));
  switch (invocation.command) {
    case 'check':
      return check(options, process.env, invocation, log, stop.signal);
    case 'ls':
      return ls(options, process.env, invocation, log, stop.signal);
    case 'cleanup':
      return cleanup(options, process.env, invocation, log, stop.signal);
    case 'run':
      return '';
  }
}

async function run(options: Options, log: Logger): Promise<number> {
  survive(log);
  const stopped = stopSignal(log);
  let registrator: Registrator;
  let closeHttp = async () => {};
  try {
    const observation = await observe(options, () => registrator);
    registrator = new Registrator(options, process.env, log, observation);
    await registrator.checkRegistries();
    if (options.http !== undefined) {
      const where = { ...options.http, names: options.httpNames };
      closeHttp = await serveHttp(where, observation.routes, registrator, log);
    }
  } catch (error) {
    return complain((error as Error).message, WRONG_USAGE);
  }
  log.info({ version: version() }, 'registrator starts');
  giveBackMemory();
  const end = await Promise.race([registrator.run().then(undefined, (error: Error) => error), stopped]);
  await registrator.stop();
  await closeHttp();
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
