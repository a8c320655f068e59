import { existsSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine, webServer } from '../support/engine.ts';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { Registrator } from '../support/registrator.ts';

/** Serves on for 3 s after it was told to stop. */
const graceful = ['sh', '-c', "trap 'sleep 3; exit 0' TERM QUIT; httpd -f -p 80 -h /www & wait"];
/** Does not stop when told to. */
const stubborn = ['sh', '-c', "trap '' TERM; httpd -f -p 80 -h /www & while :; do wait; done"];

let engine: DockerEngine;
let consul: ConsulServer;
beforeAll(async () => {
  engine = await new DockerEngine({ ownNetwork: true }).start();
  await engine.importImage('graceful', { expose: [80], cmd: graceful });
  await engine.importImage('stubborn', { expose: [80], cmd: stubborn });
  await engine.importImage('web', { expose: [80], cmd: webServer(80) });
  consul = await new ConsulServer().start();
});
afterAll(async () => {
  await consul.dispose();
  await engine.dispose();
});
beforeEach(() => () => engine.removeContainers());

const names = async () => Object.keys(await consul.api<Record<string, unknown>>('GET', '/v1/agent/services')).sort();
/** What one test registered is no sign of life in the next. */
const start = (...words: string[]) =>
  new Registrator(
    ['-ip', '10.9.8.7', '--hostname', 'node1', '--deregister-on-exit', ...words, `consul://${consul.address}`],
    {
      host: engine.host,
    },
  );
const holding = (...ids: string[]) => eventuallyPasses(async () => expect(await names()).toEqual(ids));
const running = async (container: string) => (await engine.inspect(container)).State.Running;

describe('a container that is told to stop', () => {
  it('leaves the registry while it still serves, and stays away', async () => {
    await using registrator = start();
    await engine.run('-P', '--name', 'aa', 'graceful');
    await holding('node1:aa:80');
    const stopped = engine.docker('stop', 'aa');
    await holding();
    expect(await running('aa')).toBe(true);
    await registrator.waitForLog((line) => line.container === 'aa' && /was told to stop/.test(line.msg ?? ''));
    await stopped;
    await holds(async () => expect(await names()).toEqual([]), 500);
  });

  it('by a stop signal of its own, too', async () => {
    await using _ = start();
    await engine.run('-P', '--name', 'aa', '--stop-signal', 'SIGQUIT', 'graceful');
    await holding('node1:aa:80');
    const stopped = engine.docker('stop', 'aa');
    await holding();
    expect(await running('aa')).toBe(true);
    await stopped;
  });

  it('comes back, and a line says so, where it still runs 5 s after its time to stop', async () => {
    await using registrator = start();
    await engine.run('-P', '--name', 'aa', '--stop-timeout', '1', 'stubborn');
    await holding('node1:aa:80');
    await engine.docker('kill', '-s', 'TERM', 'aa');
    await holding();
    await registrator.waitForLog('the container still runs 6 s after it was told to stop: its services come back', {
      deadlineMs: 15_000,
    });
    await holding('node1:aa:80');
  });

  it('is served again as soon as it has restarted', async () => {
    await using _ = start();
    await engine.run('-p', '80', '--name', 'aa', 'graceful');
    await holding('node1:aa:80');
    const restarted = engine.docker('restart', 'aa');
    await holding();
    await restarted;
    await holding('node1:aa:80');
  });

  it('by the end of the engine leaves as well', async () => {
    await using _ = start();
    const id = await engine.run('-P', '--name', 'aa', 'graceful');
    await holding('node1:aa:80');
    const pid = Number(await engine.docker('inspect', '-f', '{{.State.Pid}}', id));
    const stopped = engine.stop();
    await holding();
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await stopped;
    await engine.start();
  });

  it('stays until it has ended with SERVICE_DRAIN=false, with --drain=off, and with -deregister on-success', async () => {
    for (const [words, labels] of [
      [[], ['-l', 'SERVICE_DRAIN=false']],
      [['--drain=off'], []],
      [['-deregister', 'on-success'], []],
    ] as const) {
      await using _ = start(...words);
      await engine.run('-P', '--name', 'aa', ...labels, 'graceful');
      await holding('node1:aa:80');
      const stopped = engine.docker('stop', 'aa');
      await holds(async () => expect(await names()).toEqual(['node1:aa:80']), 1_500);
      expect(await running('aa')).toBe(true);
      await stopped;
      await holding();
      await engine.removeContainers();
    }
  });

  it('drains with --drain=off where its label asks for it', async () => {
    await using _ = start('--drain=off');
    await engine.run('-P', '--name', 'aa', '-l', 'SERVICE_DRAIN=true', 'graceful');
    await holding('node1:aa:80');
    const stopped = engine.docker('stop', 'aa');
    await holding();
    expect(await running('aa')).toBe(true);
    await stopped;
  });
});

it('another signal than the stop signal changes nothing', async () => {
  await using _ = start();
  await engine.run('-P', '--name', 'aa', 'stubborn');
  await holding('node1:aa:80');
  await engine.docker('kill', '-s', 'WINCH', 'aa');
  await holds(async () => expect(await names()).toEqual(['node1:aa:80']), 1_000);
});
