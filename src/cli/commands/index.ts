export { check } from './check.ts';
export { cleanup, ls } from './registry.ts';
