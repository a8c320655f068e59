import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds after the start: modules are compiled by then, and the containers that were there are registered. */
const AFTER = 10_000;
/** Bytes of heap in use up to which a collection takes a few tens of milliseconds; V8 sees to larger heaps by itself. */
const SMALL = 48 * 2 ** 20;

/** What the start took of a small host's memory is given back once: where nothing happens, V8 would keep it for ever. */
export function giveBackMemory(): void {
  const collect = () => {
    if (process.memoryUsage().heapUsed > SMALL) return;
    setFlagsFromString('--expose-gc');
    const gc: NodeJS.GCFunction = runInNewContext('gc');
    gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    setFlagsFromString('--no-expose-gc');
  };
  setTimeout(collect, AFTER).unref();
}
