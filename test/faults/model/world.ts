import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { ContainerController } from '../../../src/discovery/index.ts';
import { DockerHost, dockerConnection } from '../../../src/docker/index.ts';
import { DesiredState, Reconciler } from '../../../src/reconciler/index.ts';
import type { Registry } from '../../../src/registries/index.ts';
import type { DeriveOptions } from '../../../src/services/index.ts';
import { SimulatedDocker } from '../../support/simulated-docker.ts';
import { HOST_IP, ModelHost } from './host.ts';
import type { Step } from './steps.ts';
import type { Target } from './targets.ts';

/** Milliseconds between two resyncs. */
const RESYNC = 200;
/** Milliseconds after the last fault by which all is right: the longest backoff that faults this short lead to, and a resync. */
const LIMIT = 8_000;

/** ContainerController and reconciler as registrator puts them together, in this process; `kill` ends it as kill -9 would. */
class Subject {
  readonly #ending = new AbortController();
  readonly #docker: DockerHost;
  readonly #registry: Registry;
  readonly #ended: Promise<unknown>;

  constructor(docker: SimulatedDocker, registry: Registry, log: pino.Logger, ttl: number | undefined) {
    this.#docker = new DockerHost(dockerConnection({ DOCKER_HOST: docker.host }));
    this.#registry = registry;
    const desired = new DesiredState();
    const derive: DeriveOptions = {
      hostname: docker.hostname,
      ip: HOST_IP,
      hostAddress: {},
      ownNetwork: false,
      ipFamily: 4,
      internal: false,
      explicit: false,
      ipFromContainer: false,
      dockerHealth: true,
      healthTtl: 86_400,
      drain: true,
      requireHealthy: false,
      composeNames: false,
      swarm: false,
      ...(ttl === undefined ? {} : { ttl }),
    };
    const source = new ContainerController(
      this.#docker,
      desired,
      { derive, deregister: 'always', resyncMs: RESYNC },
      log,
    );
    const options = {
      resyncMs: RESYNC,
      heartbeatMs: RESYNC,
      retryAttempts: Number.POSITIVE_INFINITY,
      retryIntervalMs: 50,
    };
    const reconciler = new Reconciler(registry, desired, options, log);
    this.#ended = Promise.all([source.run(this.#ending.signal), reconciler.run(this.#ending.signal)]);
  }

  async kill(): Promise<void> {
    this.#ending.abort(new Error('killed'));
    await this.#registry.close();
    this.#docker.close();
    await this.#ended;
  }
}

/** Does the steps, stops the faults, and compares. Rejects with the difference, and registrator's last log lines. */
export async function play(steps: readonly Step[], host: string, target: Target, seed: number): Promise<void> {
  await using docker = await new SimulatedDocker({ hostname: host, seed }).up();
  await using _ = target;
  const lines: string[] = [];
  const log = pino(
    { level: 'debug', base: null, formatters: { level: (label) => ({ level: label }) } },
    {
      write: (line) => {
        lines.push(line);
        if (lines.length > 200) lines.splice(0, 100);
      },
    },
  );
  const model = new ModelHost(docker);
  const foreign = new Map<number, number>();
  const owner = { host, engine: `engine of ${host}` };
  const start = async () => new Subject(docker, await target.open(owner, log), log, target.ttl);
  await target.become('well');
  let subject = await start();
  try {
    for (const step of steps) {
      log.debug({ step }, 'STEP');
      await fault(step);
      model.apply(step);
      // What has arrived by now is worked on before the next step, or it is not.
      if (seed % 2 === 0) await new Promise(setImmediate);
    }
    await stopFaults();
    await becomesRight();
    const bad = lines.find((line) => /"level":"(error|fatal)"/.test(line));
    if (bad !== undefined) throw new Error(`registrator logged an error: ${bad}`);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nregistrator's last lines:\n${lines.slice(-80).join('')}`, {
      cause: error,
    });
  } finally {
    docker.resume();
    await subject.kill();
  }

  async function fault(step: Step): Promise<void> {
    switch (step.do) {
      case 'events':
        docker.eventFaults = step;
        return;
      case 'cut':
        docker.cutStreams(step.gracefully);
        return;
      case 'docker':
        if (step.forgetful) docker.forgetEvents();
        return engine(step.state);
      case 'registry':
        if (step.state !== 'emptied') return target.become(step.state);
        await target.empty();
        foreign.clear();
        return;
      case 'foreign':
        await target.putForeign(step.number, step.port);
        if (target.outlives) foreign.set(step.number, step.port);
        return;
      case 'kill registrator':
        await subject.kill();
        subject = await start();
        return;
      case 'wait':
        await sleep(step.ms);
        return;
    }
  }

  async function engine(state: Extract<Step, { do: 'docker' }>['state']): Promise<void> {
    docker.inspectFault = () =>
      state === 'failing' ? { kind: 'error' } : state === 'slow' ? { kind: 'slow', delayMs: 30 } : undefined;
    if (state === 'stalled') docker.stall();
    else docker.resume();
    await docker.down();
    if (state !== 'down') await docker.up();
  }

  async function stopFaults(): Promise<void> {
    docker.eventFaults = {};
    await engine('well');
    await target.become('well');
  }

  /** Right at once may be by chance: it has to stay so. */
  async function becomesRight(): Promise<void> {
    const end = performance.now() + LIMIT;
    for (;;) {
      await sleep(RESYNC / 4);
      try {
        await check();
        await sleep(RESYNC * 1.5);
        await check();
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
      }
    }
  }

  async function check(): Promise<void> {
    const [own, others] = await Promise.all([target.own(), target.foreign()]);
    const expected = model.expected();
    const wanted = target.comparable?.(expected) ?? expected;
    if (!isDeepStrictEqual(own, wanted))
      throw new Error(`the registry holds\n${show(own)}\nwhere it should hold\n${show(wanted)}`);
    if (!isDeepStrictEqual(others, foreign))
      throw new Error(`entries of others are\n${show(others)}\nand were\n${show(foreign)}`);
  }
}

const show = (map: ReadonlyMap<unknown, unknown>) =>
  [...map]
    .map(([key, value]) => `  ${key}: ${value}`)
    .sort()
    .join('\n') || '  nothing';
