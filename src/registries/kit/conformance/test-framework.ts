/**
 * The part of a test framework that the conformance suite uses. Vitest has it as it is (`import * as vitest from
 * 'vitest'`), Jest and Bun as well, so that the suite depends on none of them.
 */
export interface TestFramework {
  describe(name: string, body: () => void): void;
  /** @param timeout milliseconds; the framework's own where absent */
  test(name: string, body: () => Promise<void>, timeout?: number): void;
  beforeAll(work: () => Promise<void>): void;
  afterAll(work: () => Promise<void>): void;
  afterEach(work: () => Promise<void>): void;
  expect(actual: unknown): Expectation;
}

interface Expectation {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toHaveLength(length: number): void;
  // biome-ignore lint/suspicious/noExplicitAny: a class, whatever its constructor takes
  toBeInstanceOf(kind: new (...parameters: any[]) => unknown): void;
  toBeGreaterThan(least: number): void;
  toBeLessThan(most: number): void;
  toBeLessThanOrEqual(most: number): void;
  readonly rejects: { toThrow(message: string): Promise<void> };
}
