import { getActiveResourcesInfo } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { batches } from '../../../lib/batches.ts';
import { createLogger, type Logger } from '../../../lib/log/index.ts';
import type { Service } from '../../../services/index.ts';
import {
  BatchError,
  ConflictError,
  type Entry,
  type Owner,
  RefusedError,
  type Registry,
  type RegistryContext,
  type RegistryFactory,
} from '../../registry.ts';
import type { TestFramework } from './test-framework.ts';

/** The server that a registry speaks to, or whatever stands in its place. */
export interface RegistryServer {
  /** A place of its own for each test where the registry has such (a prefix, a path); else always the same. */
  uri(test: number): string;
  readonly env?: RegistryContext['env'];
  stop(): Promise<void>;
}

/** What registryConformance is told of the registry to be tested. */
export interface Conformance<S extends RegistryServer = RegistryServer> {
  /** How the tests call it: the scheme. */
  readonly name: string;
  readonly make: RegistryFactory;
  /** Once, before the first test. */
  start(): Promise<S>;
  /** The server comes back on the same address with nothing in it. */
  loseData?(server: S): Promise<void>;
  /** The server answers nothing and closes nothing until `resume`. */
  pause?(server: S): void;
  resume?(server: S): void;
  /** What is registered ends with the process, and no other process sees it: the embedded catalogue. */
  readonly inProcess?: boolean;
  /**
   * How an entry is known to be ours. By host and engine, either of which may change, is the default; `ID`: an ordinary
   * ID shows the host, and nothing else does, while one with an ID of its own has both.
   */
  readonly mark?: 'host and engine' | 'ID';
  /** Seconds of a TTL that the registry takes, where entries can expire. */
  readonly ttl?: number;
  /** Makes of a good service one that the registry refuses, where it refuses any. */
  refused?(service: Service): Service;
}

/**
 * What every registry must do, against the real thing, as tests of the framework that is given. The reconciler relies on
 * this and on nothing else, so a registry that passes works with it.
 *
 *     import * as vitest from 'vitest';
 *     registryConformance({ name: 'my-store', make, start }, vitest);
 */
export function registryConformance<S extends RegistryServer>(suite: Conformance<S>, framework: TestFramework): void {
  const { name, make, inProcess = false, mark = 'host and engine', ttl, refused, loseData, pause } = suite;
  const { describe, test, expect, beforeAll, afterAll, afterEach } = framework;

  describe(`conformance of ${name}`, () => {
    let server: S;
    let log: Logger;
    let tests = 0;
    let owner: Owner;
    const open: Registry[] = [];
    const ended = new AbortController();
    const { signal } = ended;

    beforeAll(async () => {
      log = await createLogger('silent', 'json');
      server = await suite.start();
    });
    afterAll(async () => {
      ended.abort();
      await server?.stop();
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((registry) => registry.close()));
    });

    /** A process of registrator on the test's host, or on another. */
    async function connect(as: Owner = owner, options: { ttl?: number } = {}): Promise<Registry> {
      const context = { owner: as, env: server.env ?? {}, log, hostAddress: '127.0.0.1', ...options };
      const registry = await make(server.uri(tests), context);
      open.push(registry);
      await registry.connect(signal);
      await registry.registered(signal);
      return registry;
    }

    async function end(registry: Registry): Promise<void> {
      open.splice(open.indexOf(registry), 1);
      await registry.close();
    }

    /** A test with a host of its own, so that what others left does not matter. */
    function on(behaviour: string, body: () => Promise<void>, timeout?: number): void {
      test(
        behaviour,
        async () => {
          tests += 1;
          const addresses = () => new Set(['10.1.2.3']);
          owner = { host: `host${tests}-${process.pid}`, engine: `ENGINE-${tests}-${process.pid}`, addresses };
          await body();
        },
        timeout,
      );
    }

    const service = (port: number, change: Partial<Service> = {}): Service => example(owner, port, change);

    /** A batch's one failure, which must be a refusal. */
    function onlyRefused(error: unknown): unknown {
      const failure = error instanceof BatchError ? [...error.failures.values()][0] : error;
      expect(failure).toBeInstanceOf(RefusedError);
      return failure;
    }

    async function expectHeld(registry: Registry, services: readonly Service[]): Promise<void> {
      const wanted = services.map((each) => registry.entry(each));
      expect(shown(await registry.registered(signal))).toEqual(shown(wanted));
    }

    on('a host that registered nothing has nothing', async () => {
      await expectHeld(await connect(), []);
    });

    on('what is registered is read back with the same key and content', async () => {
      const registry = await connect();
      const services = [
        service(80),
        service(81, { address: '2001:db8::1' }),
        service(82, { id: `${owner.host}:web:82:udp`, protocol: 'udp', tags: ['udp'] }),
        service(83, { tags: ['a', 'b c', 'ü'], meta: { color: 'blue', empty: '', words: 'a "b" = {c}' } }),
        service(84, { id: `an-id-of-its-own-${tests}` }),
      ];
      for (const each of batches(services, registry.batchSize)) await registry.register(each, signal);
      await expectHeld(registry, services);
    });

    on('registering again changes nothing', async () => {
      const registry = await connect();
      await registry.register([service(80)], signal);
      const before = await registry.registered(signal);
      await registry.register([service(80)], signal);
      expect(await registry.registered(signal)).toEqual(before);
    });

    for (const [what, change] of [
      ['address', { address: '10.9.9.9' }],
      ['port', { port: 8081 }],
      ['name', { name: 'shop' }],
      ['tags', { tags: ['new'] }],
      ['metadata', { meta: { color: 'red' } }],
    ] as const) {
      on(`a change of ${what} leaves the new entry alone`, async () => {
        const registry = await connect();
        const before = service(80, { meta: { color: 'blue' } });
        const after = { ...before, ...change };
        const [old, fresh] = [registry.entry(before), registry.entry(after)];
        await registry.register([before], signal);
        await registry.register([after], signal);
        if (fresh.key !== old.key) await registry.deregister([old], signal);
        await expectHeld(registry, [after]);
      });
    }

    on('deregistering removes what is named, and is idempotent', async () => {
      const registry = await connect();
      for (const port of [80, 81]) await registry.register([service(port)], signal);
      const entry = registry.entry(service(80));
      await registry.deregister([entry], signal);
      await expectHeld(registry, [service(81)]);
      await registry.deregister([entry], signal);
      await registry.deregister([registry.entry(service(99))], signal);
      await expectHeld(registry, [service(81)]);
    });

    on('hundreds of services, many at once', async () => {
      const registry = await connect();
      const services = Array.from({ length: 300 }, (_, n) => service(1_000 + n, { name: `web-${n % 7}` }));
      await Promise.all(Array.from(batches(services, registry.batchSize), (each) => registry.register(each, signal)));
      await expectHeld(registry, services);
      const entries = services.map((each) => registry.entry(each));
      await Promise.all(Array.from(batches(entries, registry.batchSize), (each) => registry.deregister(each, signal)));
      await expectHeld(registry, []);
    });

    on('names and IDs of any characters stay apart, and where they belong', async () => {
      const registry = await connect();
      const before = await registry.registered(signal);
      const held: Service[] = [];
      for (const [n, text] of [...HOSTILE, 'x'.repeat(300)].entries()) {
        for (const hostile of [{ name: text }, { id: text }, { tags: [text] }, { meta: { key: text } }]) {
          const each = service(1_000 + held.length, { id: `${owner.host}:c${n}:${held.length}`, ...hostile });
          const failure = await registry.register([each], signal).then(() => undefined, onlyRefused);
          if (failure === undefined) held.push(each);
        }
      }
      expect(held.length).toBeGreaterThan(HOSTILE.length);
      // Two of one key (an ID of some registries is the key whatever the name) would be a conflict, told of elsewhere.
      const last = new Map(held.map((each) => [registry.entry(each).key, each]));
      await expectHeld(registry, [...last.values()]);
      const entries = await registry.registered(signal);
      for (const each of batches(entries, registry.batchSize)) await registry.deregister(each, signal);
      expect(await registry.registered(signal)).toEqual(before);
    });

    if (refused !== undefined) {
      on('a service that the registry refuses harms no other of its batch', async () => {
        const registry = await connect();
        const [first, bad, last] = [service(80), refused(service(81)), service(82)];
        const failures = new Map<string, Error>();
        for (const batch of batches([first, bad, last], registry.batchSize)) {
          await registry.register(batch, signal).catch((error: unknown) => {
            // A batch of one need not say which of it failed.
            if (!(error instanceof BatchError)) expect(batch).toHaveLength(1);
            const failed =
              error instanceof BatchError ? error.failures : [[registry.entry(bad).key, error as Error] as const];
            for (const [key, failure] of failed) failures.set(key, failure);
          });
        }
        expect([...failures.keys()]).toEqual([registry.entry(bad).key]);
        expect([...failures.values()][0]).toBeInstanceOf(RefusedError);
        await expectHeld(registry, [first, last]);
      });
    }

    if (!inProcess) {
      on('two hosts never touch what is the other one’s', async () => {
        const ours = await connect();
        await ours.register([service(80)], signal);
        const other: Owner = { host: `${owner.host}-b`, engine: `${owner.engine}-B` };
        const theirs = await connect(other);
        expect(await theirs.registered(signal)).toEqual([]);
        const own = example(other, 80, { address: '10.7.7.7' });
        await theirs.register([own], signal);

        const stolen = await theirs.register([service(80)], signal).then(() => undefined, onlyRefused);
        expect(stolen).toBeInstanceOf(RefusedError);
        await theirs.deregister([theirs.entry(service(90))], signal);
        await expectHeld(ours, [service(80)]);
        await expectHeld(theirs, [own]);

        await theirs.deregister([theirs.entry(own)], signal);
        await expectHeld(theirs, []);
        await expectHeld(ours, [service(80)]);
      });

      on('what somebody else holds stays as it is, is told of, and is taken once the way is free', async () => {
        const holder: Owner = { host: `${owner.host}-b`, engine: `${owner.engine}-B` };
        const theirs = await connect(holder);
        const wanted = service(80, { id: `an-id-of-its-own-${tests}` });
        await theirs.register([wanted], signal);
        const before = await theirs.registered(signal);

        const ours = await connect();
        const entry = ours.entry(wanted);
        // Where the mark is a hash, the host's name need not be known.
        const words = [`registrator on host "${holder.host}"`, 'another host'];
        if (ours.others !== undefined) expect(words.includes(ours.others().holders.get(entry.key) ?? '')).toBe(true);
        for (const attempt of [() => ours.register([wanted], signal), () => ours.deregister([entry], signal)]) {
          const conflict = await attempt().then(() => undefined, onlyRefused);
          expect(conflict).toBeInstanceOf(ConflictError);
          expect(words.includes((conflict as ConflictError).holder)).toBe(true);
        }
        expect(await theirs.registered(signal)).toEqual(before);
        await expectHeld(ours, []);

        await theirs.deregister([theirs.entry(wanted)], signal);
        await ours.register([wanted], signal);
        await expectHeld(ours, [wanted]);
        await expectHeld(theirs, []);
      });

      on('a cloned machine, of the same engine ID at another address, is left alone, and counted', async () => {
        const twin: Owner = { host: `${owner.host}-t`, engine: owner.engine, addresses: () => new Set(['10.7.7.7']) };
        const theirs = await connect(twin);
        const own = [80, 81].map((port) =>
          example(twin, port, { address: '10.7.7.7', ...(port === 81 ? { id: `a-twins-own-${tests}` } : {}) }),
        );
        for (const each of batches(own, theirs.batchSize)) await theirs.register(each, signal);
        const ours = await connect();
        await ours.register([service(80)], signal);

        await expectHeld(ours, [service(80)]);
        await expectHeld(theirs, own);
        const counted = mark === 'ID' ? 1 : 2;
        if (ours.others !== undefined) expect([...ours.others().twins.values()]).toEqual([counted]);
        for (const each of own) expect(ours.others?.().holders.has(ours.entry(each).key) ?? true).toBe(true);
      });

      on('closing leaves the entries, and no socket', async () => {
        const before = sockets();
        const registry = await connect();
        await registry.register([service(80)], signal);
        await end(registry);
        await eventuallyPasses(() => expect(sockets()).toBeLessThanOrEqual(before));
        const next = await connect();
        expect(keys(await next.registered(signal))).toEqual([next.entry(service(80)).key]);
      });

      for (const [who, change] of [
        ['the next process', {}],
        ['a renamed host', { host: 'renamed' }],
        ['an engine that was installed anew', { engine: 'new' }],
      ] as const) {
        on(`${who} takes over what is there, and no entry is missing or double at any moment`, async () => {
          const options = ttl === undefined ? {} : { ttl };
          const ordinary = mark === 'ID' && 'host' in change ? { id: `ordinary-no-more-${tests}` } : {};
          const special = { id: `an-id-of-its-own-${tests}` };
          const services = [service(80, ordinary), service(81, special)];
          const first = await connect(owner, options);
          for (const each of batches(services, first.batchSize)) await first.register(each, signal);
          await end(first);

          const next = await connect({ ...owner, ...change }, options);
          const wanted = services.map((each) => next.entry(each));
          const found = new Map((await next.registered(signal)).map((entry) => [entry.key, entry.content]));
          const observed = observe(next, signal, (entries) => expect(keys(entries)).toEqual(keys(wanted)));
          const different = services.filter((_, n) => found.get(wanted[n]?.key ?? '') !== wanted[n]?.content);
          for (const each of batches(different, next.batchSize)) await next.register(each, signal);
          await expectHeld(next, services);
          await observed.stop();
        });
      }
    }

    if (ttl !== undefined) {
      on(
        'what is refreshed stays without a flicker, what is not expires',
        async () => {
          const deadOwner = { host: `${owner.host}-dead`, engine: `${owner.engine}-DEAD` };
          const dead = await connect(deadOwner, { ttl });
          await dead.register([example(deadOwner, 80, { ttl })], signal);
          const alive = await connect(owner, { ttl });
          const kept = service(81, { ttl });
          await alive.register([kept], signal);
          const wanted = await alive.registered(signal);
          expect(shown(wanted)).toEqual(shown([alive.entry(kept)]));
          const watcher = await connect(deadOwner, { ttl });
          expect(await watcher.registered(signal)).toHaveLength(1);
          await end(dead);

          const observed = observe(alive, signal, (entries) => expect(entries).toEqual(wanted));
          const heart = setInterval(
            () => void alive.refresh?.([kept], signal).catch(() => undefined),
            (ttl * 1_000) / 3,
          );
          try {
            const remains = async () => {
              // Somebody's claim to an entry that is gone may remain.
              const there = (await watcher.registered(signal)).filter(({ address }) => address === '10.1.2.3');
              expect(there).toEqual([]);
            };
            await eventuallyPasses(remains, { deadlineMs: ttl * 3_000 + 5_000, everyMs: 200 });
          } finally {
            clearInterval(heart);
          }
          await observed.stop();
        },
        ttl * 3_000 + 20_000,
      );
    }

    on('reading again says the same, whatever else happens', async () => {
      const registry = await connect();
      await registry.register([service(80)], signal);
      const first = await registry.registered(signal);
      await registry.connect(signal);
      expect(await registry.registered(signal)).toEqual(first);
    });

    on('waiting for a loss ends on abort', async () => {
      const registry = await connect();
      const abort = new AbortController();
      const lost = registry.lost?.(abort.signal) ?? Promise.reject(new Error('does not tell'));
      abort.abort(new Error('enough'));
      await expect(lost).rejects.toThrow(registry.lost === undefined ? 'does not tell' : 'enough');
    });

    if (pause !== undefined) {
      on('every call ends on abort while the server answers nothing', async () => {
        const registry = await connect();
        await registry.register([service(80)], signal);
        pause(server);
        try {
          const abort = new AbortController();
          const calls = [
            registry.connect(abort.signal),
            registry.register([service(81)], abort.signal),
            registry.deregister([registry.entry(service(80))], abort.signal),
            registry.registered(abort.signal),
          ];
          const started = performance.now();
          const settled = Promise.allSettled(calls);
          setTimeout(() => abort.abort(new Error('enough')), 100);
          for (const { status } of await settled) expect(status).toBe('rejected');
          expect(performance.now() - started).toBeLessThan(1_000);
        } finally {
          suite.resume?.(server);
        }
      });
    }

    if (loseData !== undefined) {
      on('a server that comes back empty is noticed, and filled again', async () => {
        const registry = await connect();
        const services = [service(80), service(81)];
        for (const each of batches(services, registry.batchSize)) await registry.register(each, signal);
        const lost = registry.lost?.(signal) ?? Promise.resolve('at the next reading');
        await loseData(server);
        expect(typeof (await lost)).toBe('string');
        await eventuallyPasses(
          async () => {
            await registry.connect(signal);
            expect(await registry.registered(signal)).toEqual([]);
          },
          { deadlineMs: 20_000 },
        );
        for (const each of batches(services, registry.batchSize)) {
          await eventuallyPasses(() => registry.register(each, signal), { deadlineMs: 20_000 });
        }
        await expectHeld(registry, services);
      });
    }
  });
}

/** Text that is out to break a path, a line, an encoding or a label. */
const HOSTILE: readonly string[] = [
  '../../etc',
  '..',
  '.',
  'a/b',
  '/',
  'a%2Fb',
  '%',
  'a b',
  'a?b=c#d',
  'a:b',
  'a\nb',
  'a\u0000b',
  '\u007f',
  '"quoted" \\back',
  'Ünïcode-名',
  '😀',
  '{{ .x }}',
];

function example(owner: Owner, port: number, change: Partial<Service> = {}): Service {
  return {
    id: `${owner.host}:web:${port}`,
    name: 'web',
    address: '10.1.2.3',
    port,
    protocol: 'tcp',
    tags: [],
    meta: {},
    origin: {
      containerId: 'c'.repeat(64),
      containerName: 'web',
      image: 'web',
      exposedPort: port,
      startedAt: 1_000,
    },
    ...change,
  };
}

const keys = (entries: readonly Entry[]) => entries.map(({ key }) => key).sort();

/** In order, and without the health, which is the registry's to say. */
function shown(entries: readonly Entry[]): unknown[] {
  return entries
    .map(({ key, content, id, name, address, port }) => ({ key, content, id, name, address, port }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Reads again and again, until stopped; `stop` rejects with what a reading failed for. */
function observe(registry: Registry, signal: AbortSignal, check: (entries: readonly Entry[]) => void) {
  let stopped = false;
  const work = (async () => {
    while (!stopped) {
      check(await registry.registered(signal));
      await sleep(5);
    }
  })();
  work.catch(() => undefined);
  return {
    stop(): Promise<void> {
      stopped = true;
      return work;
    },
  };
}

function sockets(): number {
  return getActiveResourcesInfo().filter((kind) => /TCPSocketWrap|TCPWrap|PipeWrap|TLSWrap/.test(kind)).length;
}

/** Tries again until `probe` passes; rejects at the deadline with what it failed for. */
async function eventuallyPasses(probe: () => unknown, { deadlineMs = 10_000, everyMs = 50 } = {}): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (Date.now() >= deadline) throw error;
    }
    await sleep(everyMs);
  }
}
