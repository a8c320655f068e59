/**
 * `registrator/registry-kit`: what a registry outside of this repository is made of, and the tests that it has to pass.
 * See "Writing a registry" in CONTRIBUTING.md.
 */
export type { Environment } from '../lib/environment.ts';
export type { Logger } from '../lib/log/index.ts';
export type { Health, Service } from '../services/index.ts';
export * from './kit/conformance/index.ts';
export * from './kit/index.ts';
export { defineRegistry } from './plugin.ts';
export * from './registry.ts';
