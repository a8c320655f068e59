import { fileURLToPath } from 'node:url';
import type { ConsulServer } from '../support/consul.ts';
import { type EventuallyOptions, eventuallyPasses } from '../support/eventually.ts';
import type { RecordingConsul } from '../support/recorder.ts';
import { type LogLine, Registrator } from '../support/registrator.ts';
import type { Holding } from './shims/probe.ts';

/** Options for node that load a file of shims/ before the program. */
export const shim = (name: 'clock' | 'probe'): Record<string, string> => ({
  NODE_OPTIONS: `--expose-gc --import ${fileURLToPath(new URL(`shims/${name}.ts`, import.meta.url))}`,
});

/** The program, with `--ip 10.9.8.7`, on the Docker at `host`. */
export function start(host: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): Registrator {
  return new Registrator(['-ip', '10.9.8.7', ...words], { host, env });
}

/** The IDs that an agent holds, sorted. */
export async function idsOf(agent: ConsulServer | RecordingConsul): Promise<string[]> {
  const response = await fetch(`http://${agent.address}/v1/agent/services`, { signal: AbortSignal.timeout(5_000) });
  return Object.keys((await response.json()) as object).sort();
}

/** What a program that was started with `shim('probe')` holds now. */
export async function holding(registrator: Registrator): Promise<Holding> {
  const before = registrator.lines.filter(({ msg }) => msg === 'holding').length;
  registrator.kill('SIGUSR2');
  const line = await logged(
    registrator,
    (candidate) =>
      candidate.msg === 'holding' &&
      registrator.lines.filter(({ msg }) => msg === 'holding').indexOf(candidate) === before,
  );
  return line as unknown as Holding;
}

/** Milliseconds that a machine which is busy with other things may need to start a process or to work through a crowd. */
const DEADLINE_MS = 30_000;

/** Resolves when `probe` passes. */
export const soon = (probe: () => unknown, options: EventuallyOptions = {}): Promise<void> =>
  eventuallyPasses(probe, { deadlineMs: DEADLINE_MS, ...options });

/** The first log line that fits, so far or to come. */
export const logged = (registrator: Registrator, fits: string | ((line: LogLine) => boolean)): Promise<LogLine> =>
  registrator.waitForLog(fits, { deadlineMs: DEADLINE_MS });
