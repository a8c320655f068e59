import pRetry, { type Options } from 'p-retry';

/**
 * p-retry, but for a TypeError, which it takes for a mistake in the program and gives up at: here an answer that has not
 * the shape which it should have leads to one, and the next answer may have it.
 */
export function retrying<T>(work: () => Promise<T>, options: Options): Promise<T> {
  return pRetry(async () => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof TypeError ? new Error(`the answer makes no sense: ${error.message}`) : error;
    }
  }, options);
}
