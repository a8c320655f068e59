export { derive } from './derive.ts';
export type * from './options.ts';
export type * from './service.ts';
export { parseTagTemplate, TemplateSyntaxError, type TagTemplate } from './template/index.ts';
