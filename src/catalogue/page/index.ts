export { type About, Board, type RegistryState, type Surroundings } from './board.ts';
export { followStore } from './follow-store.ts';
export { followSurroundings } from './follow-surroundings.ts';
export { checkOf, type Row, rowOf } from './row.ts';
export { pageRoutes } from './server.ts';
