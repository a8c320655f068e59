import type { Surroundings } from '../catalogue/index.ts';
import type { RegistryState } from '../catalogue/page/index.ts';
import type { DockerStatus } from '../discovery/index.ts';
import { shortId } from '../lib/short-id.ts';
import type { Difference, RegistryStatus } from '../reconciler/index.ts';
import type { Overseen } from './observer.ts';

/** Differences of one registry that are listed. */
const LISTED = 500;

/** What the page shows beside the services: how Docker and each registry are, and what is not registered. */
export function surroundingsOf({ status, differences }: Pick<Overseen, 'status' | 'differences'>): Surroundings {
  const registries = status.registries.map((registry, i) => registryState(registry, differences[i] ?? []));
  const unregistered = (status.docker?.unregistered ?? []).map(({ containerName, containerId, image, ports }) => ({
    container: containerName,
    containerId: shortId(containerId),
    image,
    ports,
  }));
  return { registries: [dockerState(status.docker), ...registries], unregistered };
}

function dockerState(docker: DockerStatus | undefined): RegistryState {
  const state = !docker?.connected ? 'away' : docker.complete ? 'in step' : 'catching up';
  return { name: 'Docker', state, differences: [] };
}

function registryState(
  { name, up, queue, failing, services }: RegistryStatus,
  differences: readonly Difference[],
): RegistryState {
  const state = !up ? 'away' : queue === 0 && failing === 0 ? 'in step' : 'catching up';
  return { name, state, wanted: services, differences: differences.slice(0, LISTED) };
}
