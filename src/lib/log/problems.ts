import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Logger, pino } from 'pino';

/** Lines about one container; what is beyond them is counted. */
const LINES = 10;
/** Problems of one container that are remembered. More than these are one more. */
const REMEMBERED = 1_000;
/** Containers that are remembered. */
const SUBJECTS = 10_000;
/** Lines about problems in a minute, whoever has them. */
const CEILING = 300;
const MINUTE = 60_000;
/** Milliseconds until the first count of what was left out: it belongs below the lines. */
const SOON = 1_000;

/** A line about a container. */
export interface Note {
  /** Whose it is: a container's ID, most often. */
  readonly about: string;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface Problem extends Note {
  /** What it is: the same is told once. */
  readonly cause: string;
  readonly level: 'debug' | 'info' | 'warn';
}

interface Subject {
  /** A few bytes of each one's hash: they are sentences, and there may be a thousand of them. */
  readonly causes: Set<string>;
  lines: number;
  more: number;
  /** Whether one of those left out was a warning or worse. */
  warned: boolean;
  /** Nothing of it is to be remembered once what was left out is counted. */
  gone: boolean;
  /** Of the first line: whose it is, for people. */
  readonly container: unknown;
}

/**
 * Tells of what is wrong with containers, such that none of them floods the log: each problem once, ten lines a container
 * and a count of the others, and no more than 300 lines a minute in the whole process, with the number that was left out.
 */
export class Problems {
  readonly #log: Logger;
  readonly #subjects = new LRUCache<string, Subject>({ max: SUBJECTS });
  #timer: NodeJS.Timeout | undefined;
  #summedUpAt = Number.NEGATIVE_INFINITY;
  #minute = 0;
  #linesOfMinute = 0;
  #leftOut = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  tell({ about, cause, level, fields, message }: Problem, log: Logger = this.#log): void {
    if (!log.isLevelEnabled(level)) return;
    const subject = this.#subject(about, fields.container);
    const known = hash('sha1', cause, 'base64').slice(0, 10);
    if (subject.causes.has(known)) return;
    if (subject.causes.size < REMEMBERED) subject.causes.add(known);
    if (subject.lines >= LINES) {
      subject.more += 1;
      subject.warned ||= level === 'warn';
      this.#sumUpLater();
      return;
    }
    subject.lines += 1;
    if (level !== 'warn' || this.#isBelowCeiling()) log[level](fields, message);
  }

  /** Says what happens to a container, as often as it does: ten lines a minute, and a count of the others. */
  note({ about, level, fields, message }: Note, log: Logger): void {
    if (!log.isLevelEnabled(level)) return;
    this.#startMinute();
    const subject = this.#subject(`${this.#minute} ${about}`, fields.container);
    subject.lines += 1;
    if (subject.lines > LINES) {
      subject.more += 1;
      subject.warned ||= level === 'warn' || level === 'error';
      this.#sumUpLater();
    } else if (level === 'info' || level === 'debug' || this.#isBelowCeiling()) log[level](fields, message);
  }

  /** The container is gone: one of that ID would be told of anew. */
  forget(about: string): void {
    const subject = this.#subjects.get(about);
    if (subject?.more === 0) this.#subjects.delete(about);
    else if (subject !== undefined) subject.gone = true;
  }

  #subject(about: string, container: unknown): Subject {
    const known = this.#subjects.get(about);
    if (known !== undefined) {
      known.gone = false;
      return known;
    }
    const subject: Subject = { causes: new Set(), lines: 0, more: 0, warned: false, gone: false, container };
    this.#subjects.set(about, subject);
    return subject;
  }

  #isBelowCeiling(): boolean {
    this.#startMinute();
    this.#linesOfMinute += 1;
    if (this.#linesOfMinute <= CEILING) return true;
    this.#leftOut += 1;
    this.#sumUpLater();
    return false;
  }

  /** Counts begin anew; what was noted of containers in the last one is forgotten. */
  #startMinute(): void {
    const minute = Math.floor(performance.now() / MINUTE);
    if (minute === this.#minute) return;
    for (const [about, { more }] of this.#subjects) {
      if (more === 0 && about.startsWith(`${this.#minute} `)) this.#subjects.delete(about);
    }
    this.#minute = minute;
    this.#linesOfMinute = 0;
  }

  #sumUpLater(): void {
    const wait = performance.now() - this.#summedUpAt > MINUTE ? SOON : MINUTE;
    // A line alone is no reason for the process to stay.
    this.#timer ??= setTimeout(() => this.#sumUp(), wait).unref();
  }

  #sumUp(): void {
    this.#timer = undefined;
    this.#summedUpAt = performance.now();
    const all = [...this.#subjects.values()].filter(({ more }) => more > 0);
    for (const subject of all.slice(0, LINES)) {
      const level = subject.warned ? 'warn' : 'info';
      this.#log[level]({ container: subject.container }, `and ${subject.more} more about this container`);
    }
    const others = all.slice(LINES).reduce((sum, { more }) => sum + more, 0) + this.#leftOut;
    if (others > 0) this.#log.warn({ lines: others }, `and ${others} more lines about containers, which were left out`);
    for (const subject of all) Object.assign(subject, { more: 0, warned: false });
    for (const [about, { gone }] of this.#subjects) if (gone) this.#subjects.delete(about);
    this.#leftOut = 0;
  }
}

const byStream = new WeakMap<object, Problems>();

/** The one of all loggers that write to the same place. */
export function problemsOf(log: Logger): Problems {
  const stream = (log as unknown as Readonly<Record<symbol, object>>)[pino.symbols.streamSym] ?? log;
  const problems = byStream.get(stream) ?? new Problems(log);
  byStream.set(stream, problems);
  return problems;
}
