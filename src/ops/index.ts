export { observe } from './observe.ts';
export type * from './observer.ts';
export { serveHttp } from './serve.ts';
