export { DesiredState } from './desired-state.ts';
export { Reconciler, type ReconcilerOptions } from './reconciler.ts';
export type * from './status.ts';
