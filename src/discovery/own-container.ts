import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { ContainerSnapshot, DockerHost } from '../docker/index.ts';
import { joinedContainer } from '../services/index.ts';

/** What the system tells a process that may betray the container it is in. */
export interface Traces {
  /** /proc/self/mountinfo (proc(5)). */
  readonly mountinfo: string;
  /** /proc/self/cgroup (cgroups(7)). */
  readonly cgroup: string;
  readonly hostname: string;
}

/**
 * Whether this process is in a container of that engine, with a network that is not the host's: what its name resolves
 * to and what the kernel sends from are then that container's addresses, not the host's.
 *
 * @throws Docker's error where it does not answer
 */
export async function hasOwnNetwork(docker: DockerHost, signal: AbortSignal): Promise<boolean> {
  const traces = { mountinfo: await read('mountinfo'), cgroup: await read('cgroup'), hostname: hostname() };
  for (const id of containerIds(traces)) {
    const container = await docker.inspect(id, signal);
    // A name may look like an ID, too.
    if (container?.Id.startsWith(id)) return !(await isOnHostNetwork(container, docker, signal));
  }
  return false;
}

/** IDs of the container that the process may be in, the surest first. Pure; exported for tests. */
export function containerIds({ mountinfo, cgroup, hostname }: Traces): readonly string[] {
  // Engines mount these three from the container's own folder. (Other lines name other containers, on a host.)
  const mounted = mountinfo.matchAll(/^\d+ \d+ \S+ \S*\/([0-9a-f]{64})\/\S* \/etc\/(?:hostname|hosts|resolv\.conf) /gm);
  const grouped = cgroup.matchAll(/[/-]([0-9a-f]{64})(?:\.scope)?(?:\/|$)/gm);
  const ids = [...mounted, ...grouped].map(([, id = '']) => id);
  return [...new Set([...ids, ...(/^[0-9a-f]{12}$/.test(hostname) ? [hostname] : [])])];
}

async function isOnHostNetwork(
  container: ContainerSnapshot,
  docker: DockerHost,
  signal: AbortSignal,
): Promise<boolean> {
  const other = joinedContainer(container);
  const { HostConfig, NetworkSettings } = (other && (await docker.inspect(other, signal))) || container;
  return HostConfig?.NetworkMode === 'host' || Object.hasOwn(NetworkSettings?.Networks ?? {}, 'host');
}

/** Empty where the system has no such file. */
const read = (file: string) => readFile(`/proc/self/${file}`, 'utf8').catch(() => '');
