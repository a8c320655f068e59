/** Milliseconds: between two tries, at first and at most; and without a sign of life until the stream counts as dead. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
const SILENCE = 50_000;

/** Follows the server's events for as long as the page is open, and tells where it stands. */
export class Stream {
  #listener;
  #source;
  #timer;
  #failures = 0;

  /** @param listener `{ message(data), live(), away(nextTryAt) }` */
  constructor(listener) {
    this.#listener = listener;
    this.#open();
    addEventListener('online', () => this.retry());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.retry());
  }

  /** Tries at once, where it waits. */
  retry() {
    if (this.#source === undefined) this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    const source = new EventSource('events');
    this.#source = source;
    this.#expectLife();
    source.addEventListener('error', () => this.#lost());
    source.addEventListener('beat', () => this.#expectLife());
    source.addEventListener('message', ({ data }) => {
      this.#failures = 0;
      this.#expectLife();
      this.#listener.live();
      this.#listener.message(JSON.parse(data));
    });
  }

  #expectLife() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENCE);
  }

  #lost() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.#listener.away(Date.now() + wait);
  }
}
