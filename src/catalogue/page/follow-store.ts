import { compact } from '../../lib/compact.ts';
import type { Change, Instance, Store } from '../store.ts';
import { Board, type Row, rowOf } from './board.ts';

/** A board of what the catalogue holds, true to it until the signal aborts. */
export function followStore(store: Store, domain: string | undefined, signal: AbortSignal): Board {
  const board = new Board(compact({ node: store.node.name, domain }));
  for (const instance of store.all()) board.put(row(instance, store));
  store.listen(({ kind, instance }) => {
    const { id } = instance.service;
    if (kind === 'deregistered') {
      board.remove(id, 'deregistered');
      return;
    }
    const [before, now] = [board.row(id), row(instance, store)];
    if (JSON.stringify(before) !== JSON.stringify(now)) board.put(now, noteworthy(kind, instance, before));
  }, signal);
  return board;
}

function noteworthy(kind: Exclude<Change['kind'], 'deregistered'>, { status }: Instance, before: Row | undefined) {
  if (kind === 'registered' || kind === 'updated') return kind;
  return kind === 'confirmed' || before?.health === status ? undefined : status;
}

function row({ service, checks, status, fromSnapshot }: Instance, { node }: Store): Row {
  const why = checks.find((check) => check.status === status);
  return {
    ...rowOf(service),
    key: service.id,
    address: service.address === '' ? node.address : service.address,
    health: checks.length === 0 ? 'none' : status,
    output: status === 'passing' ? '' : (why?.output || why?.notes || 'No check has answered yet.').slice(0, 500),
    fromSnapshot,
  };
}
