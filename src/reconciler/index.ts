export { backoff } from './backoff.ts';
export { Desired } from './desired.ts';
export { KeyedQueue } from './queue.ts';
export { Reconciler, type ReconcilerOptions } from './reconciler.ts';
