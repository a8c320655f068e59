import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds between two looks. In the time before the first one the start is at work. */
const EVERY = 5_000;
/** The part of the time since the last look that the event loop may have worked: more, and there is no rest. */
const AT_REST = 0.005;
/** Bytes that the heap has grown by since the last time, or what is unused of it: worth a collection. */
const WORTH = 16 * 2 ** 20;
/** Bytes of heap in use up to which a collection takes a few tens of milliseconds; V8 sees to larger heaps by itself. */
const SMALL = 48 * 2 ** 20;

/** V8's flags for the time of the collection: code goes, too. What runs again is compiled again, which takes 10 ms in all. */
const WITH = ['--expose-gc', '--flush-baseline-code', '--stress-flush-code'];
const WITHOUT = ['--no-expose-gc', '--no-flush-baseline-code', '--no-stress-flush-code'];

/**
 * Where nothing happens, V8 would keep for ever what the start took of a small host's memory, or a container that had much
 * to say. It is given back. Goes on as long as the process does, and does not keep it from ending.
 */
export function giveBackMemory(): void {
  // The first time is worth it always.
  let [total, unused] = [Number.NEGATIVE_INFINITY, 0];
  let worked = performance.eventLoopUtilization();
  const collect = () => {
    const { utilization } = performance.eventLoopUtilization(worked);
    worked = performance.eventLoopUtilization();
    const { heapTotal, heapUsed } = process.memoryUsage();
    const growth = Math.max(heapTotal - total, heapTotal - heapUsed - unused);
    if (utilization > AT_REST || heapUsed > SMALL || growth < WORTH) return;
    for (const flag of WITH) setFlagsFromString(flag);
    const gc: NodeJS.GCFunction = runInNewContext('gc');
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    for (const flag of WITHOUT) setFlagsFromString(flag);
    const after = process.memoryUsage();
    [total, unused] = [after.heapTotal, after.heapTotal - after.heapUsed];
  };
  setInterval(collect, EVERY).unref();
}
