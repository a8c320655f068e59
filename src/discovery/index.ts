export { ContainerController, failedOnItsOwn } from './container-controller.ts';
export { deriveOptions, hostnameOf, ownAddress } from './derive-options.ts';
export { ServiceResolver } from './service-resolver.ts';
export type * from './status.ts';
