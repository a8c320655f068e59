import { constants } from 'node:os';

/** The first and the last real-time signal as Docker counts them (moby/sys/signal). */
const RTMIN = 34;
const RTMAX = 64;

/**
 * The number of a signal as people and engines write it: `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`.
 *
 * @returns undefined where it is no signal
 */
export function signalNumber(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, end, sign, offset = '0'] = /^(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (end !== undefined) return (end === 'RTMIN' ? RTMIN : RTMAX) + Number(`${sign ?? '+'}${offset}`);
  return constants.signals[`SIG${name}` as NodeJS.Signals];
}
