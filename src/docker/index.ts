export { dockerConnection } from './connection.ts';
export { containerName } from './container-name.ts';
export { type ContainerEvent, DockerHost, type EngineInfo, type Listed, phaseOf } from './docker-host.ts';
export type * from './snapshot.ts';
export { untilAnswered } from './until-answered.ts';
export { DockerWatcher } from './watcher.ts';
