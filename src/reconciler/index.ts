export { DesiredState } from './desired-state.ts';
export { Reconciler } from './reconciler.ts';
export type * from './status.ts';
