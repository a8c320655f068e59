import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds after the start: modules are compiled by then, and the containers that were there are registered. */
const AFTER = 10_000;
/** Bytes of heap in use up to which a collection takes a few tens of milliseconds; V8 sees to larger heaps by itself. */
const SMALL = 48 * 2 ** 20;

/** V8's flags for the time of the collection: code that ran at the start alone goes too, and is compiled again if need be. */
const WITH = ['--expose-gc', '--flush-baseline-code', '--stress-flush-code'];
const WITHOUT = ['--no-expose-gc', '--no-flush-baseline-code', '--no-stress-flush-code'];

/** What the start took of a small host's memory is given back once: where nothing happens, V8 would keep it for ever. */
export function giveBackMemory(): void {
  const collect = () => {
    if (process.memoryUsage().heapUsed > SMALL) return;
    for (const flag of WITH) setFlagsFromString(flag);
    const gc: NodeJS.GCFunction = runInNewContext('gc');
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    for (const flag of WITHOUT) setFlagsFromString(flag);
  };
  setTimeout(collect, AFTER).unref();
}
