/** The tests that every registry has to pass: in a folder of their own, so that no registry loads them. */
export { type Conformance, type RegistryServer, registryConformance } from './suite.ts';
export type { TestFramework } from './test-framework.ts';
