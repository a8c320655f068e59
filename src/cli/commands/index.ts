export { check } from './check.ts';
export { completion } from './completion.ts';
export { cleanup, ls } from './registry.ts';
