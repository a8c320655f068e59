import { type Logger, type LoggerOptions, pino } from 'pino';
import { cutFields, cutSentence } from './cut.ts';
import { type Sink, TurnWriter } from './turn-writer.ts';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `auto`: lines for people on a terminal, JSON elsewhere. */
export const LOG_FORMATS = ['auto', 'human', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

let stdout: Sink | undefined;

/** Log lines go to stdout, synchronously at the end of the present turn: the last one before an end is never lost. */
export async function createLogger(level: LogLevel, format: LogFormat): Promise<Logger> {
  const options: LoggerOptions = {
    level,
    base: null,
    formatters: { level: (label: string) => ({ level: label }), log: cutFields },
    hooks: {
      logMethod(args, method) {
        const [first, ...rest] = args.map((arg) => (typeof arg === 'string' ? cutSentence(arg) : arg));
        method.call(this, first as string, ...(rest as string[]));
      },
    },
  };
  const human = format === 'human' || (format === 'auto' && process.stdout.isTTY);
  if (!human) {
    stdout ??= new TurnWriter(pino.destination({ fd: 1, sync: true }));
    return pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, stdout);
  }
  const { default: pretty } = await import('pino-pretty');
  const stream = pretty({
    sync: true,
    translateTime: 'SYS:HH:MM:ss.l',
    colorize: process.stdout.isTTY,
    hideObject: true,
    messageFormat: (line, messageKey) => humanLine(line, messageKey),
  });
  return pino(options, stream);
}

const SHOWN_BESIDE = new Set(['level', 'time', 'msg']);

/** The message, and behind it the fields: `registered  service=redis container=cache`. Never more than one line. */
export function humanLine(line: Readonly<Record<string, unknown>>, messageKey: string): string {
  const fields = Object.entries(line).filter(([key]) => !SHOWN_BESIDE.has(key) && key !== messageKey);
  const shown = fields.map(([key, value]) => `${key}=${plain(value)}`);
  return [printable(String(line[messageKey] ?? '')), ...(shown.length === 0 ? [] : ['', ...shown])].join(' ');
}

function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return typeof value === 'string' && !/^[^\s"\p{C}]+$/u.test(text) ? printable(JSON.stringify(text)) : printable(text);
}

/** Names and labels are whatever somebody wrote: none may move the cursor or begin a line. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
