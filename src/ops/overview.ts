import { setTimeout as sleep } from 'node:timers/promises';
import { Board, pageRoutes, type RegistryState, type Row, rowOf } from '../catalogue/page/index.ts';
import type { DockerStatus } from '../discovery/index.ts';
import { type HttpRoute, redirect } from '../lib/http/route.ts';
import type { DesiredState, RegistryStatus } from '../reconciler/index.ts';
import type { Service } from '../services/index.ts';
import type { Status } from './observer.ts';

/** The part of a registrator that is shown. */
export interface Overseen {
  readonly hostname: string;
  readonly desired: DesiredState;
  readonly status: Status;
}

/** Milliseconds between two looks at the registries. */
const LOOK = 500;

/**
 * The page of `--http`: the embedded catalogue's, with what registrator wants registered, and how each registry is. True
 * to both until the signal aborts.
 *
 * @returns its routes
 */
export function overviewPage(registrator: Overseen, signal: AbortSignal): readonly HttpRoute[] {
  const board = new Board({ node: registrator.hostname });
  followDesired(board, registrator.desired, signal);
  void followStatus(board, registrator, signal);
  return [{ path: '/', answer: () => redirect('ui/') }, ...pageRoutes(board)];
}

function followDesired(board: Board, desired: DesiredState, signal: AbortSignal): void {
  for (const service of desired.services()) board.put(row(service));
  const unlisten = desired.listen(({ before, after }) => {
    const kept = new Set(after.map(keyOf));
    for (const service of before) if (!kept.has(keyOf(service))) board.remove(keyOf(service), 'gone');
    for (const service of after) put(board, row(service));
  });
  signal.addEventListener('abort', unlisten, { once: true });
}

async function followStatus(board: Board, registrator: Overseen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { hostname, status } = registrator;
    if (board.about.node !== hostname) board.setAbout({ node: hostname });
    board.setRegistries([dockerState(status.docker), ...status.registries.map(state)]);
    await sleep(LOOK, undefined, { signal }).catch(() => undefined);
  }
}

function put(board: Board, row: Row): void {
  const before = board.row(row.key);
  if (before === undefined) board.put(row, 'found');
  else if (JSON.stringify(before) !== JSON.stringify(row)) board.put(row, news(before, row));
}

function news(before: Row, { health }: Row) {
  return before.health === health || health === 'none' || health === 'elsewhere' ? 'updated' : health;
}

function dockerState(docker: DockerStatus | undefined): RegistryState {
  if (!docker?.connected) return { name: 'Docker', state: 'away' };
  return { name: 'Docker', state: docker.complete ? 'in sync' : 'catching up' };
}

function state({ name, up, queue, failing }: RegistryStatus): RegistryState {
  if (!up) return { name, state: 'away' };
  return { name, state: queue === 0 && failing === 0 ? 'in sync' : 'catching up' };
}

/** Two containers may claim one ID: both are shown. */
const keyOf = ({ id, origin }: Service) => `${origin.containerId} ${id}`;

function row(service: Service): Row {
  const { health, check } = service;
  return {
    ...rowOf(service),
    key: keyOf(service),
    health: health?.status ?? (check === undefined ? 'none' : 'elsewhere'),
    output: health === undefined || health.status === 'passing' ? '' : health.output.slice(0, 500),
    fromSnapshot: false,
  };
}
