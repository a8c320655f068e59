import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { decode, encode } from 'dns-packet';
import { DockerEngine } from '../../test/support/engine.ts';
import { freePort } from '../../test/support/ports.ts';
import { EventTimes } from '../event-times.ts';
import { type BenchOptions, comparison, median, ms, type Outcome } from '../measure.ts';
import { Subject } from '../subject.ts';

const follow = fileURLToPath(new URL('../floor/follow.ts', import.meta.url));
const WARM_UP = 3;
/** Milliseconds between two questions. */
const EVERY = 1;

/**
 * From the moment at which a bystander has a start event to the first DNS answer that has the container, beside what the
 * inspection alone takes a lean client that does nothing else.
 */
export async function eventToDns({ program, samples, rounds, say }: BenchOptions): Promise<Outcome> {
  await using engine = await new DockerEngine().start();
  await using events = await new EventTimes().start(engine.socket);
  await engine.importImage('web:1');
  const container = await engine.docker('create', '--name', 'web', '-p', '80', 'web:1');
  const [httpPort, dnsPort] = [await freePort(), await freePort()];
  const each = Math.ceil(samples / rounds);
  const floor: number[] = [];
  const registrator: number[] = [];

  for (let round = 1; round <= rounds; round++) {
    say(`event → DNS: round ${round} of ${rounds}`);
    {
      await using inspector = new Subject(follow, [engine.socket]);
      await inspector.line('ready');
      for (let n = -WARM_UP; n < each; n++) {
        const inspected = inspector.line('inspected');
        await engine.docker('start', container);
        const taken = Number((await inspected).split(' ').at(-1));
        if (n >= 0) floor.push(taken);
        await engine.docker('kill', container);
        await delay(100);
      }
    }
    {
      await using subject = new Subject(
        program,
        ['--ip', '127.0.0.1', `memory://127.0.0.1:${httpPort}?dns=${dnsPort}`],
        {
          host: engine.host,
        },
      );
      await subject.line('looked at every container');
      await using asker = await new Asker(dnsPort, 'web.service.consul').start();
      for (let n = -WARM_UP; n < each; n++) {
        const known = asker.firstAnswer();
        await engine.docker('start', container);
        const answeredAt = await known;
        if (n >= 0) registrator.push(answeredAt - (await events.of(container, 'start')).at);
        else await events.of(container, 'start');
        await engine.docker('kill', container);
        await asker.firstDenial();
        await delay(100);
      }
    }
  }
  const note = `${floor.length} starts a side in ${rounds} turns, real Docker; the floor is one inspection; DNS is asked every ${EVERY} ms, which is part of the figure`;
  return {
    rows: [
      comparison('start event → DNS answers (memory://), p50', {
        ...{ floor: median(floor), registrator: median(registrator), most: 1.3, unit: ms, note },
      }),
    ],
  };
}

/** Asks one question all the time. */
class Asker implements AsyncDisposable {
  readonly #socket: Socket = createSocket('udp4');
  readonly #question: Buffer;
  readonly #port: number;
  #timer: NodeJS.Timeout | undefined;
  #onAnswer: (answers: number, at: number) => void = () => {};

  constructor(port: number, name: string) {
    this.#port = port;
    this.#question = encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] });
  }

  async start(): Promise<this> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    this.#socket.on('message', (message) => {
      const at = performance.now();
      this.#onAnswer(decode(message).answers?.length ?? 0, at);
    });
    this.#timer = setInterval(() => this.#socket.send(this.#question, this.#port, '127.0.0.1'), EVERY);
    return this;
  }

  /** Resolves with `performance.now()`. */
  firstAnswer(): Promise<number> {
    return this.#first((answers) => answers > 0);
  }
  firstDenial(): Promise<number> {
    return this.#first((answers) => answers === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  #first(fits: (answers: number) => boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('DNS gave no such answer in 10 s')), 10_000);
      this.#onAnswer = (answers, at) => {
        if (!fits(answers)) return;
        clearTimeout(timer);
        this.#onAnswer = () => {};
        resolve(at);
      };
    });
  }
}
