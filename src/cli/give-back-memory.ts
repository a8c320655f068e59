import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds after the start: modules are compiled by then, and the containers that were there are registered. */
const AFTER = 10_000;
/** Milliseconds between two looks at how the heap has grown since. */
const EVERY = 60_000;
/** Bytes that the heap has grown by since the last time, or what is unused of it: worth a collection. */
const WORTH = 16 * 2 ** 20;
/** Bytes of heap in use up to which a collection takes a few tens of milliseconds; V8 sees to larger heaps by itself. */
const SMALL = 48 * 2 ** 20;

/** V8's flags for the time of the collection: code that ran at the start alone goes too, and is compiled again if need be. */
const WITH = ['--expose-gc', '--flush-baseline-code', '--stress-flush-code'];
const WITHOUT = ['--no-expose-gc', '--no-flush-baseline-code', '--no-stress-flush-code'];

/**
 * What the start took of a small host's memory is given back, and what a container took that had much to say: where nothing
 * happens, V8 would keep it for ever. Goes on as long as the process does, and does not keep it from ending.
 */
export function giveBackMemory(): void {
  let [total, unused] = [0, 0];
  const collect = () => {
    const { heapTotal, heapUsed } = process.memoryUsage();
    const growth = Math.max(heapTotal - total, heapTotal - heapUsed - unused);
    if (heapUsed > SMALL || growth < WORTH) return;
    for (const flag of WITH) setFlagsFromString(flag);
    const gc: NodeJS.GCFunction = runInNewContext('gc');
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    for (const flag of WITHOUT) setFlagsFromString(flag);
    const after = process.memoryUsage();
    [total, unused] = [after.heapTotal, after.heapTotal - after.heapUsed];
  };
  setTimeout(() => {
    collect();
    setInterval(collect, EVERY).unref();
  }, AFTER).unref();
}
