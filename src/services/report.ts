import { enumerate } from '../lib/quote.ts';
import type { IgnoredPort, Notice } from './options.ts';

/** Gathers what a person should know about one container. */
export class Report {
  readonly #subject: string;
  readonly #notices = new Map<string, Notice>();
  readonly #ignored: IgnoredPort[] = [];
  /** Ports that cannot be registered, by the reason. */
  readonly #missing = new Map<string, string[]>();

  constructor(containerName: string) {
    this.#subject = `Container ${containerName.replace(/\p{Cc}/gu, '?')}`;
  }

  get notices(): readonly Notice[] {
    const missing = [...this.#missing].map(([reason, ports]): Notice => {
      const verb = ports.length === 1 ? 'is' : 'are';
      return { level: 'warn', message: `${this.#subject}: ${enumerate(ports)} ${verb} not registered: ${reason}.` };
    });
    return [...this.#notices.values(), ...missing];
  }

  get ignored(): readonly IgnoredPort[] {
    return this.#ignored;
  }

  /** @param sentence goes on after the container's name; the same one is kept once */
  say(level: Notice['level'], sentence: string): void {
    const message = `${this.#subject}: ${sentence}`;
    if (!this.#notices.has(message)) this.#notices.set(message, { level, message });
  }

  /** A port that is left out as it was asked for. @param reason says what the user can do */
  ignore(port: string, reason: string): void {
    this.#ignored.push({ port, reason });
  }

  /** A port that should be registered and cannot: a warning as well. */
  miss(port: string, reason: string): void {
    this.ignore(port, reason);
    const ports = this.#missing.get(reason);
    if (ports === undefined) this.#missing.set(reason, [port]);
    else ports.push(port);
  }
}
