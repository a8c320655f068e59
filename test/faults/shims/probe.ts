import { readdirSync } from 'node:fs';

/** What a process holds after a garbage collection, as it says on stderr at SIGUSR2. */
export interface Holding {
  readonly msg: 'holding';
  readonly heapUsed: number;
  readonly rss: number;
  readonly descriptors: number;
  /** By kind, e.g. `Timeout`. */
  readonly resources: Readonly<Record<string, number>>;
}

/** For `--import`, with `--expose-gc`. */
process.on('SIGUSR2', async () => {
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const { heapUsed, rss } = process.memoryUsage();
  const descriptors = readdirSync('/proc/self/fd').length;
  const holding: Holding = { msg: 'holding', heapUsed, rss, descriptors, resources };
  process.stderr.write(`${JSON.stringify(holding)}\n`);
});
