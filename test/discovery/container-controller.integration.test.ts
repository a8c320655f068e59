import { afterEach, expect, it } from 'vitest';
import { eventuallyPasses, holds } from '../support/eventually.ts';
import { RecordingConsul } from '../support/recorder.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

const cleanUp: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

it('a container that starts costs one inspection and one call to the registry, one that stops little more', async () => {
  const docker = await new SimulatedDocker().up();
  const consul = await new RecordingConsul().start();
  const registrator = new Registrator(['-ip', '10.9.8.7', `consul://${consul.address}`], { host: docker.host });
  cleanUp.push(docker, consul, registrator);
  await registrator.waitForLog('looked at every container');
  docker.run({ name: 'cache', publish: { '6379/tcp': 0 } });
  const { Id } = docker.inspect('cache');
  await eventuallyPasses(() => expect(consul.services.size).toBe(1));
  expect(docker.inspections.get(Id)).toBe(1);
  docker.stop('cache');
  await eventuallyPasses(() => expect(consul.services.size).toBe(0));
  await holds(() => {
    expect(docker.inspections.get(Id)).toBeLessThanOrEqual(3);
    expect(consul.puts).toHaveLength(2);
  }, 300);
});

it('a container that Docker lists and does not show keeps what is registered of it, while stale entries go', async () => {
  const docker = await new SimulatedDocker().up();
  const consul = await new RecordingConsul().start();
  cleanUp.push(docker, consul);
  const start = () => new Registrator(['-ip', '10.9.8.7', `consul://${consul.address}`], { host: docker.host });
  for (const name of ['mute', 'gone', 'well']) docker.run({ name, publish: { '80/tcp': 0 } });
  const ids = () => [...consul.services.keys()].sort();
  const first = start();
  cleanUp.push(first);
  await eventuallyPasses(() => expect(consul.services.size).toBe(3));
  await first.stop();

  docker.remove('gone');
  const mute = docker.inspect('mute').Id;
  docker.inspectFault = (id) => (id === mute ? { kind: 'error' } : undefined);
  const second = start();
  cleanUp.push(second);
  await eventuallyPasses(() => expect(ids()).toEqual(['simulated:mute:80', 'simulated:well:80']));
  expect(second.lines.filter(({ msg }) => msg?.startsWith('Docker does not tell about this container'))).toHaveLength(
    1,
  );

  docker.stop('mute');
  docker.inspectFault = () => undefined;
  await eventuallyPasses(() => expect(ids()).toEqual(['simulated:well:80']));
});
