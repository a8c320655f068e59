export { createLogger, LOG_FORMATS, LOG_LEVELS, type LogFormat, type Logger, type LogLevel, printable } from './log.ts';
export { type Observation, observe } from './observe.ts';
export type { HttpAnswer, HttpRoute } from './routes.ts';
