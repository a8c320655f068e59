import { enumerate, quote } from '../lib/quote.ts';
import type { IgnoredPort, Notice } from './options.ts';

/** One sentence on many things: how they are named, and the rest of it for one and for more of them. */
interface Group {
  readonly name: (item: string) => string;
  readonly verbs: readonly [string, string];
  readonly end: string;
}

/** Gathers what a person should know about one container. */
export class Report {
  readonly #subject: string;
  readonly #notices = new Map<string, Notice>();
  readonly #ignored: IgnoredPort[] = [];
  /** By the end of the sentence. */
  readonly #groups = new Map<string, Group & { readonly items: Set<string> }>();
  #waits: string | undefined;

  constructor(containerName: string) {
    this.#subject = `Container ${containerName.replace(/\p{Cc}/gu, '?')}`;
  }

  get notices(): readonly Notice[] {
    const groups = [...this.#groups.values()].map(({ name, verbs: [one, more], end, items }): Notice => {
      const message = `${this.#subject}: ${enumerate([...items], name)} ${items.size === 1 ? one : more} ${end}.`;
      return { level: 'warn', message };
    });
    return [...this.#notices.values(), ...groups];
  }

  get ignored(): readonly IgnoredPort[] {
    return this.#ignored;
  }

  /** Why a port waits for the host's address. */
  get waits(): string | undefined {
    return this.#waits;
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

  /** A port that waits until the host's address is known. */
  wait(reason: string): void {
    this.#waits = reason;
  }

  /** A port that should be registered and cannot: a warning as well. */
  miss(port: string, reason: string): void {
    this.ignore(port, reason);
    this.#group({ name: plain, verbs: ['is', 'are'], end: `not registered: ${reason}` }, [port]);
  }

  /** Labels that are left out as a whole. @param why what is wrong with them, after `is` */
  leaveOut(labels: readonly string[], why: string): void {
    if (labels.length > 0) this.#group({ name: quote, verbs: ['is', 'are'], end: `${why}, and left out` }, labels);
  }

  /** Tags of a label that are left out. @param which of its tags, after `has tags` */
  leaveOutTags(source: string, which: string): void {
    this.#group({ name: plain, verbs: ['has tags', 'have tags'], end: `${which}, which are left out` }, [source]);
  }

  /** What the budget of the container does not reach for. */
  exceed(what: string): void {
    const end = 'for more work than one container gets, and what is not done is left out';
    this.#group({ name: plain, verbs: ['asks', 'ask'], end }, [what]);
  }

  #group(group: Group, items: readonly string[]): void {
    const { items: all } = this.#groups.get(group.end) ?? { items: new Set<string>() };
    this.#groups.set(group.end, { ...group, items: all });
    for (const item of items) all.add(item);
  }
}

const plain = (item: string) => item;
