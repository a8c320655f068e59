import type { IgnoredPort, Notice } from './options.ts';

const LONGEST_QUOTE = 100;

/** Gathers what a person should know about one container. */
export class Report {
  readonly #containerName: string;
  readonly #notices = new Map<string, Notice>();
  readonly #ignored: IgnoredPort[] = [];

  constructor(containerName: string) {
    this.#containerName = containerName;
  }

  get notices(): readonly Notice[] {
    return [...this.#notices.values()];
  }

  get ignored(): readonly IgnoredPort[] {
    return this.#ignored;
  }

  /** @param sentence goes on after the container's name; the same one is kept once */
  say(level: Notice['level'], sentence: string): void {
    const message = `Container ${this.#containerName}: ${sentence}`;
    if (!this.#notices.has(message)) this.#notices.set(message, { level, message });
  }

  /** @param reason says what the user can do */
  ignore(port: string, reason: string): void {
    this.#ignored.push({ port, reason });
  }
}

/** A label's value, or any other text from outside, as a message may show it: on one line, escaped, not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}
