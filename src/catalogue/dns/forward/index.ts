/** Questions that are not ours, asked of other resolvers. */
export { Forwarder } from './forwarder.ts';
export { Recursion } from './recursion.ts';
export type { Upstream } from './upstream.ts';
