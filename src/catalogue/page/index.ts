export { Board, type RegistryState, type Row, rowOf } from './board.ts';
export { followStore } from './follow-store.ts';
export { pageRoutes } from './server.ts';
