/**
 * registrator as a library.
 *
 *     import { createLogger, Registrator } from 'registrator';
 *
 *     const log = await createLogger('info', 'auto');
 *     const registrator = new Registrator({ registries: ['consul://localhost:8500'] }, process.env, log);
 *     void registrator.run();            // works until stop()
 *     process.once('SIGTERM', () => registrator.stop());
 *
 * A registry of your own: see CONTRIBUTING.md, and `defineRegistry`.
 */

export type { DockerStatus } from './discovery/index.ts';
export { createLogger, type LogFormat, type Logger, type LogLevel } from './lib/log/index.ts';
export type { Observer, Status } from './ops/index.ts';
export { DEFAULTS, type Options } from './options.ts';
export type { Action, Conflict, RegistryStatus } from './reconciler/index.ts';
export { Registrator } from './registrator.ts';
export {
  BatchError,
  ConflictError,
  defineRegistry,
  type Entry,
  type Others,
  type Owner,
  RefusedError,
  type Registry,
  type RegistryContext,
  type RegistryFactory,
  type RegistryPlugin,
  UnusableError,
} from './registries/index.ts';
export {
  decodeSegment,
  encodeSegment,
  type Held,
  holderOf,
  isOwnId,
  type Mark,
  markIn,
  type Ownership,
  ownerMark,
  ownership,
} from './registries/kit/index.ts';
export { parseTagTemplate, type Service, type TagTemplate } from './services/index.ts';
