import { Board, checkOf, followSurroundings, pageRoutes, type Row, rowOf } from '../catalogue/page/index.ts';
import { type HttpRoute, redirect } from '../lib/http/route.ts';
import type { DesiredState } from '../reconciler/index.ts';
import type { Service } from '../services/index.ts';
import type { Overseen } from './observer.ts';
import { surroundingsOf } from './surroundings.ts';

/**
 * The page of `--http`: the embedded catalogue's, with what registrator wants registered, and how each registry is. True
 * to both until the signal aborts.
 *
 * @returns its routes
 */
export function overviewPage(registrator: Overseen, signal: AbortSignal): readonly HttpRoute[] {
  const board = new Board(() => ({ node: registrator.hostname, catalogue: false }));
  followDesired(board, registrator.desired, signal);
  void followSurroundings(board, () => surroundingsOf(registrator), signal);
  return [{ path: '/', answer: () => redirect('ui/') }, ...pageRoutes(board)];
}

function followDesired(board: Board, desired: DesiredState, signal: AbortSignal): void {
  for (const service of desired.services()) board.put(row(service), false);
  const unlisten = desired.listen(({ before, after }) => {
    const kept = new Set(after.map(keyOf));
    for (const service of before) if (!kept.has(keyOf(service))) board.remove(keyOf(service));
    for (const service of after) board.put(row(service));
  });
  signal.addEventListener('abort', unlisten, { once: true });
}

/** Two containers may claim one ID: both are shown. */
const keyOf = ({ id, origin }: Service) => `${origin.containerId} ${id}`;

function row(service: Service): Row {
  return { ...rowOf(service, healthOf(service)), key: keyOf(service) };
}

function healthOf(service: Service): Pick<Row, 'health' | 'checks'> {
  const { health, check } = service;
  if (health !== undefined) return { health: health.status, checks: [{ what: "Docker's health", ...health }] };
  if (check === undefined) return { health: 'none', checks: [] };
  return { health: 'elsewhere', checks: [{ ...checkOf(service), status: 'elsewhere', output: '' }] };
}
