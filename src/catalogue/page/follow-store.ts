import { compact } from '../../lib/compact.ts';
import type { CheckState } from '../checks/state.ts';
import type { Instance, Store } from '../store.ts';
import { type About, Board } from './board.ts';
import { checkOf, type Row, type RowCheck, rowOf } from './row.ts';

/** A board of what the catalogue holds, true to it until the signal aborts. */
export function followStore(store: Store, dns: () => About['dns'], signal: AbortSignal): Board {
  const board = new Board(() => compact({ node: store.node.name, catalogue: true, dns: dns() }));
  for (const instance of store.all()) board.put(row(instance, store), false);
  store.listen(({ kind, instance }) => {
    if (kind === 'deregistered') board.remove(instance.service.id);
    else board.put(row(instance, store));
  }, signal);
  return board;
}

function row(instance: Instance, { node }: Store): Row {
  const { service, checks, status, fromSnapshot } = instance;
  const health = {
    health: checks.length === 0 ? ('none' as const) : status,
    checks: checks.map((check) => rowCheck(check, instance)),
  };
  return { ...rowOf(service, health, node.address), key: service.id, fromSnapshot };
}

function rowCheck({ type, notes, status, output }: CheckState, { service }: Instance): RowCheck {
  const maintenance = type === '';
  return {
    ...(maintenance ? { what: 'Docker' } : checkOf(service)),
    status,
    output: output || notes || 'No check has answered yet.',
  };
}
