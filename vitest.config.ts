import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { CompatibilityReporter } from './test/support/compatibility-reporter.ts';
import { generationsHere } from './test/support/generations.ts';
import { leftOut } from './test/support/left-out.ts';
import { enterOwnNetwork } from './test/support/own-network.ts';
import { SummaryReporter } from './test/support/summary-reporter.ts';

/** Real sockets, processes and seconds, but nothing to install. */
const integration = '{test,examples}/**/*.integration.test.ts';
/** Against real engines and registries. */
const e2e = 'test/**/*.e2e.test.ts';
const faults = 'test/**/*.fault.test.ts';
/** Alone: where another test makes a network, Chromium gives up the requests that are under way. */
const page = 'test/catalogue/page.e2e.test.ts';

const projects = process.argv.flatMap((word, at) => (process.argv[at - 1] === '--project' ? [word] : []));
const needsEngines = projects.length === 0 || projects.some((name) => name !== 'unit' && name !== 'integration');
if (needsEngines) await enterOwnNetwork();

const exclude = needsEngines ? leftOut() : [];
const generations = needsEngines ? generationsHere() : [];

/** The projects run one after the other, so that the servers of one do not slow down the timing of another. */
export default defineConfig({
  test: {
    reporters: [
      'default',
      ...(process.env.REGISTRATOR_TEST_TABLE === '1' ? [new CompatibilityReporter()] : []),
      new SummaryReporter(),
    ],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [integration, e2e, faults],
          // They are pure: to load what they share once is a quarter of the time.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: [integration],
          // examples/ import the package by its name.
          alias: {
            'registrator/registry-kit': fileURLToPath(new URL('src/registries/registry-kit.ts', import.meta.url)),
          },
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: [e2e],
          exclude: [...exclude, page],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'page',
          include: [page],
          exclude,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'faults',
          include: [faults],
          exclude,
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 3 },
        },
      },
      ...generations.map(({ name, include, env }) => ({
        test: {
          name,
          include: [...include],
          exclude,
          env: { ...env },
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 4 },
        },
      })),
    ],
  },
});
