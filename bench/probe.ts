/** Loaded into the measured program by `--import`: answers, by IPC, how its event loop and memory do. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What the program costs; times in milliseconds, sizes in bytes. */
export interface Vitals {
  readonly loopDelayP99: number;
  readonly loopDelayMax: number;
  /** Of the CPU, since its start. */
  readonly cpu: number;
  readonly rss: number;
  /** The most that rss ever was. */
  readonly maxRss: number;
  readonly heapUsed: number;
}

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

process.on('message', (question) => {
  if (question === 'reset') delay.reset();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  process.send?.({
    loopDelayP99: delay.percentile(99) / 1e6,
    loopDelayMax: delay.max / 1e6,
    cpu: (user + system) / 1000,
    rss,
    maxRss: process.resourceUsage().maxRSS * 1024,
    heapUsed,
  } satisfies Vitals);
});
// It must not keep the program alive.
process.channel?.unref();
