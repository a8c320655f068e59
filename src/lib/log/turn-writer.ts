/** Where lines of a log go at last. */
export interface Sink {
  write(text: string): unknown;
}

/**
 * Hands on in one piece what is written in one turn of the event loop: a write each would make a start with thousands of
 * services wait for its own log. Nothing is lost at an end of the process that the process knows of.
 */
export class TurnWriter implements Sink {
  readonly #sink: Sink;
  #text = '';

  constructor(sink: Sink) {
    this.#sink = sink;
    process.on('exit', () => this.#flush());
  }

  write(text: string): void {
    if (this.#text === '') setImmediate(() => this.#flush());
    this.#text += text;
  }

  #flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#sink.write(text);
  }
}
