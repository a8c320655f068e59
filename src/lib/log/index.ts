export {
  createLogger,
  LOG_FORMATS,
  LOG_LEVELS,
  type LogFormat,
  type Logger,
  type LogLevel,
  printable,
} from './logger.ts';
export { Problems, problemsOf } from './problems.ts';
