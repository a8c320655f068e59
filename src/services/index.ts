export { parseTagTemplate, type TagTemplate, TemplateSyntaxError } from '../template/index.ts';
export { joinedContainer } from './container.ts';
export { derive } from './derive.ts';
export { parseDuration } from './duration.ts';
export { idPrefix } from './id.ts';
export { needsImageTags } from './name.ts';
export type * from './options.ts';
export type * from './service.ts';
export { swarmServiceId } from './swarm.ts';
