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
import { foreignIds, type Target } from './targets.ts';

/** Milliseconds between two resyncs. */
const RESYNC = 200;
/** Milliseconds after the last fault by which all is right: the longest backoff that faults this short lead to, and a resync. */
const LIMIT = 20_000;

/** ContainerController and reconciler as registrator puts them together, in this process; `kill` ends it as kill -9 would. */
class Subject {
  readonly #ending = new AbortController();
  readonly #docker: DockerHost;
  readonly #registry: Registry;
  readonly #ended: Promise<unknown>;
  readonly #controller: ContainerController;
  readonly #reconciler: Reconciler;

  constructor(docker: SimulatedDocker, registry: Registry, log: pino.Logger, address: string, ttl: number | undefined) {
    this.#docker = new DockerHost(dockerConnection({ DOCKER_HOST: docker.host }));
    this.#registry = registry;
    const desired = new DesiredState();
    const derive: DeriveOptions = {
      hostname: docker.hostname,
      hostAddress: { 4: address },
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
    this.#controller = source;
    this.#reconciler = reconciler;
    this.#ended = Promise.all([source.run(this.#ending.signal), reconciler.run(this.#ending.signal)]);
  }

  get hasRead(): boolean {
    return this.#reconciler.status.resyncedAt !== undefined;
  }

  hostMoved(address: string): void {
    this.#controller.hostMoved({ 4: address });
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
  /** What others have put, by slot, as the registry held it right after. */
  const foreign = new Map<number, string>();
  /** IDs of which no registrator that has started since can know whose they are. */
  const unknowable = new Set<string>();
  /** IDs that an operator has put into maintenance mode, and not taken out since. */
  const maintained = new Set<string>();
  const beside = new Beside(host, target, log);
  const addresses = () => new Set([model.address]);
  const owner = { host, engine: engineOf(host), addresses };
  const start = async () => new Subject(docker, await target.open(owner, log), log, model.address, target.ttl);
  await target.prepare?.();
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
    await operatorsWordStands();
    const bad = lines.find((line) => /"level":"(error|fatal)"/.test(line) && !/is in conflict: /.test(line));
    if (bad !== undefined) throw new Error(`registrator logged an error: ${bad}`);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nregistrator's last lines:\n${lines.slice(-80).join('')}`, {
      cause: error,
    });
  } finally {
    docker.resume();
    await Promise.all([subject.kill(), beside.end()]);
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
        await target.putForeign(step.slot, step.port);
        return noteForeign(step.slot);
      case 'foreign goes':
        if (foreign.delete(step.slot)) await target.removeForeign(step.slot);
        return;
      case 'claims':
        await target.loseClaims?.();
        // Nor can one that has not read the registry yet.
        if (!subject.hasRead) await noteUnclaimed();
        return;
      case 'maintenance': {
        const id = `${host}:${step.name}:80`;
        if (!(await target.maintain?.(id, step.on))) return;
        if (step.on) maintained.add(id);
        else maintained.delete(id);
        return;
      }
      case 'address':
        model.address = step.address;
        subject.hostMoved(step.address);
        return;
      case 'token':
        await target.rotateToken?.();
        return;
      case 'beside':
        return beside.start(step.who);
      case 'kill registrator':
        // Each new one removes once more what bears our name: two at once is what is asked for, not one a second.
        if (beside.has('namesake')) return;
        return restart();
      case 'wait':
        await sleep(step.ms);
        return;
    }
  }

  async function restart(): Promise<void> {
    await subject.kill();
    await noteUnclaimed();
    subject = await start();
  }

  async function noteUnclaimed(): Promise<void> {
    for (const id of (await target.unclaimed?.()) ?? []) unknowable.add(id);
  }

  async function noteForeign(slot: number): Promise<void> {
    const stamp = (await target.foreign()).get(slot);
    if (stamp === undefined) foreign.delete(slot);
    else foreign.set(slot, stamp);
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
    const wanted = expected(own);
    const [held, should] = [own, wanted].map((all) => new Map([...all].filter(([id]) => !unknowable.has(id))));
    if (!isDeepStrictEqual(held, should))
      throw new Error(`the registry holds\n${show(own)}\nwhere it should hold\n${show(wanted)}`);
    if (!isDeepStrictEqual(others, foreign))
      throw new Error(`entries of others are\n${show(others)}\nand were\n${show(foreign)}`);
  }

  /** What all registrators want together, but for what somebody else holds. */
  function expected(own: ReadonlyMap<string, string>): Map<string, string> {
    const isFree = ([id, text]: readonly [string, string]) =>
      !foreign.has(target.slotOf?.(id, text) ?? foreignIds(host).indexOf(id));
    const free = new Map([...model.expected()].filter(isFree));
    const ours = target.comparable?.(free) ?? free;
    const theirs = new Map([...beside.expected()].filter(isFree));
    const all = new Map(ours);
    for (const [id, text] of target.comparable?.(theirs) ?? theirs) {
      // Who was first has it, and neither takes it from the other.
      if (!ours.has(id) || own.get(id) === text) all.set(id, text);
    }
    // What an operator has put into maintenance mode is critical, unless it was registered anew since.
    for (const id of maintained) {
      const [text, found] = [all.get(id), own.get(id)];
      if (text !== undefined && found === text.replace(/\S+$/, 'critical')) all.set(id, found);
    }
    return all;
  }

  /** Over resyncs and a restart of ours. */
  async function operatorsWordStands(): Promise<void> {
    const [id] = [...model.expected().keys()].filter((one) => one.startsWith(`${host}:`));
    if (id === undefined || maintained.size === 0 || !(await target.maintain?.(id, true))) return;
    maintained.add(id);
    if (!beside.has('namesake')) await restart();
    await sleep(RESYNC * 2.5);
    if (!(await target.maintained?.())?.has(id))
      throw new Error(`${id} was taken out of an operator's maintenance mode`);
    await becomesRight();
  }
}

const engineOf = (host: string) => `engine of ${host}`;

/** Other registrators at the same registry, whom no fault reaches. */
class Beside {
  readonly #host: string;
  readonly #target: Target;
  readonly #log: pino.Logger;
  readonly #all = new Map<'twin' | 'namesake', { model: ModelHost; end(): Promise<void> }>();

  constructor(host: string, target: Target, log: pino.Logger) {
    this.#host = host;
    this.#target = target;
    this.#log = log.child({ beside: true }, { level: 'silent' });
  }

  has(who: 'twin' | 'namesake'): boolean {
    return this.#all.has(who);
  }

  /** The twin bears our engine's ID and another name, the namesake our name and another engine's ID. */
  async start(who: 'twin' | 'namesake'): Promise<void> {
    if (this.#all.has(who) || this.#target.openBeside === undefined) return;
    const isTwin = who === 'twin';
    const hostname = isTwin ? `${this.#host}-t` : this.#host;
    const docker = await new SimulatedDocker({ hostname }).up();
    const model = new ModelHost(docker, isTwin ? 30_000 : 40_000);
    model.address = isTwin ? '10.9.8.6' : HOST_IP;
    model.apply({ do: 'run', name: isTwin ? 't' : 'z', kind: 'plain' });
    // It asks for an ID that a container of ours may have.
    if (isTwin && !this.#target.keyedByAddress)
      model.apply({ do: 'run', name: 'a', kind: 'own-id', id: `own-${this.#host}-a` });
    const engine = isTwin ? engineOf(this.#host) : `another ${engineOf(this.#host)}`;
    const owner = { host: hostname, engine, addresses: () => new Set([model.address]) };
    const registry = await this.#target.openBeside(owner, this.#log);
    const subject = new Subject(docker, registry, this.#log, model.address, this.#target.ttl);
    const end = async () => {
      await subject.kill();
      await docker[Symbol.asyncDispose]();
    };
    this.#all.set(who, { model, end });
  }

  expected(): Map<string, string> {
    return new Map([...this.#all.values()].flatMap(({ model }) => [...model.expected()]));
  }

  async end(): Promise<void> {
    await Promise.all([...this.#all.values()].map((one) => one.end()));
  }
}

const show = (map: ReadonlyMap<unknown, unknown>) =>
  [...map]
    .map(([key, value]) => `  ${key}: ${value}`)
    .sort()
    .join('\n') || '  nothing';
