/**
 * The simulated engine as a process of its own, so that what it costs is nobody else's: see SimulatedDockerProcess, which
 * starts it and calls its methods by IPC messages. Ends with its parent.
 */
import { SimulatedDocker } from './simulated-docker.ts';
import type { Call, Reply } from './simulated-docker-process.ts';
import { type StormOptions, storm } from './simulated-storm.ts';

const docker = await new SimulatedDocker().up();

process.on('message', async (call: Call) => {
  const reply = await answer(call).then(
    (value): Reply => ({ id: call.id, value }),
    (error: unknown): Reply => ({ id: call.id, error: String(error) }),
  );
  process.send?.(reply);
});
process.once('disconnect', async () => {
  await docker[Symbol.asyncDispose]();
  process.exit(0);
});
process.send?.({ id: 0, value: docker.host } satisfies Reply);

async function answer({ method, args }: Call): Promise<unknown> {
  if (method === 'requests') return [...docker.requests];
  if (method === 'inspections') return [...docker.inspections.values()];
  if (method === 'containers') return docker.containers;
  if (method === 'storm') return storm(docker, ...(args as [readonly string[], StormOptions]));
  const member = docker[method] as (...args: unknown[]) => unknown;
  return member.apply(docker, [...args]);
}
