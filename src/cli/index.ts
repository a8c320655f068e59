export { type Invocation, readCommandLine } from './command-line.ts';
export { createProgram, UsageError } from './program.ts';
