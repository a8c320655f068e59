import type { Reporter, TestModule } from 'vitest/node';

/**
 * Prints `N passed, N failed` (`, N skipped` where there are any) as the run's very last line, counted from the tests
 * that ran. A file that could not be loaded, and an error outside of any test, count as one failure each.
 */
export class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === 'pending' ? 'failed' : state]++;
      }
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      count.failed += module.errors().length;
    }
    const skipped = count.skipped === 0 ? '' : `, ${count.skipped} skipped`;
    // At exit, after whatever other reporters still print.
    process.once('exit', () => process.stdout.write(`${count.passed} passed, ${count.failed} failed${skipped}\n`));
  }
}
