import { describe, expect, it } from 'vitest';
import { freePort } from '../support/ports.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import type { Holding } from './shims/probe.ts';
import { holding, idsOf, shim, soon, start } from './support.ts';

/** Containers that run at once. */
const AT_ONCE = 100;
const LIVES = 10_000;
/** Lives until everything was used once: code compiled, connections opened. */
const WARM_UP = 2_000;

describe('10,000 container lives, each under a name of its own', () => {
  it('leave no memory, no descriptor and no timer behind, with the embedded catalogue and Consul', async () => {
    await using docker = await new SimulatedDocker().up();
    await using consul = await new RecordingConsul().start();
    const port = await freePort();
    const uris = [`memory://127.0.0.1:${port}?dns=${await freePort()}`, `consul://${consul.address}`];
    const words = ['-resync', '1', '--log-level', 'warn', ...uris];
    await using registrator = start(docker.host, words, shim('probe'));
    let lived = 0;
    const live = async (until: number) => {
      while (lived < until) {
        const names = Array.from({ length: AT_ONCE }, (_, n) => `life-${lived + n + 1}`);
        for (const name of names) {
          docker.run({ name, publish: { '80/tcp': 0 }, labels: { SERVICE_NAME: name, SERVICE_TAGS: 'a,b' } });
        }
        await soon(async () => expect(await held(port)).toBe(AT_ONCE), { everyMs: 10 });
        await soon(() => expect(consul.services.size).toBe(AT_ONCE), { everyMs: 10 });
        for (const name of names) docker.remove(name);
        await soon(() => expect(consul.services.size).toBe(0), { everyMs: 10 });
        lived += AT_ONCE;
        // The recorder's own memory.
        consul.puts.length = 0;
        consul.requests.length = 0;
      }
      await soon(async () => expect(await held(port)).toBe(0));
    };
    await live(WARM_UP);
    const before = await holding(registrator);
    await live(LIVES);
    const after = await holding(registrator);
    console.info(`after ${WARM_UP} lives: ${figures(before)}`);
    console.info(`after ${LIVES} lives: ${figures(after)}`);
    expect(after.heapUsed / before.heapUsed).toBeLessThan(1.1);
    expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 4);
    for (const kind of ['Timeout', 'Immediate', 'PipeWrap', 'TCPSocketWrap']) {
      expect(after.resources[kind] ?? 0, kind).toBeLessThanOrEqual((before.resources[kind] ?? 0) + 4);
    }
    expect(registrator.lines.filter(({ level }) => level !== undefined)).toEqual([]);
    expect(await registrator.stop()).toBe(0);
    expect(await idsOf(consul)).toEqual([]);
  });
});

async function held(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/agent/services`);
  return Object.keys((await response.json()) as object).length;
}

function figures({ heapUsed, rss, descriptors, resources }: Holding): string {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `heap ${mib(heapUsed)}, resident ${mib(rss)}, ${descriptors} descriptors, ${JSON.stringify(resources)}`;
}
