import { type Logger, pino } from 'pino';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto`: lines for people on a terminal, JSON elsewhere. */
export const LOG_FORMATS = ['auto', 'human', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Log lines go to stdout, synchronously: the last one before an end is never lost. */
export async function createLogger(level: LogLevel, format: LogFormat): Promise<Logger> {
  const options = { level, base: null, formatters: { level: (label: string) => ({ level: label }) } };
  const human = format === 'human' || (format === 'auto' && process.stdout.isTTY);
  if (!human)
    return pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 1, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({
    sync: true,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: process.stdout.isTTY,
  });
  return pino(options, stream);
}
