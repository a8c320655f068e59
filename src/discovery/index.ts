export { ContainerController, failedOnItsOwn } from './container-controller.ts';
export { deriveOptions, type HostFacts, hostFacts, ownAddress, ownAddresses } from './derive-options.ts';
export type { HostAddresses } from './host-address.ts';
export { ServiceResolver } from './service-resolver.ts';
export type * from './status.ts';
