import { defineConfig } from 'vitest/config';
import { SummaryReporter } from './test/support/summary-reporter.ts';

const e2e = 'test/**/*.e2e.test.ts';
const faults = 'test/**/*.fault.test.ts';

/** The projects run one after the other, so that the servers of one do not slow down the timing of another. */
export default defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: [e2e, faults], sequence: { groupOrder: 0 } } },
      {
        test: {
          name: 'e2e',
          include: [e2e],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'faults',
          include: [faults],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
