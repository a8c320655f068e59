import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

interface DigRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  /** As dig prints it, e.g. `1 1 6379 host.node.dc1.consul.`. */
  readonly data: string;
}

export interface DigAnswer {
  /** `NOERROR`, `NXDOMAIN`, … */
  readonly status: string;
  /** e.g. `qr`, `aa`, `tc`, `rd`, `ra`. */
  readonly flags: readonly string[];
  readonly answer: readonly DigRecord[];
  readonly authority: readonly DigRecord[];
  readonly additional: readonly DigRecord[];
  readonly udpSize?: number;
  /** The whole output. */
  readonly text: string;
}

/** `dig @127.0.0.1 -p PORT WORDS`; words as `name`, `-t`, `SRV`, `+tcp`. Rejects when no answer came in 2 s. */
export async function dig(port: number, ...words: readonly string[]): Promise<DigAnswer> {
  const text = await run(port, words);
  const [, status = ''] = /status: (\w+)/.exec(text) ?? [];
  const [, flags = ''] = /^;; flags: ([a-z ]*);/m.exec(text) ?? [];
  const [, udpSize] = /^; EDNS:.*udp: (\d+)/m.exec(text) ?? [];
  return {
    status,
    flags: flags.trim().split(' '),
    answer: section(text, 'ANSWER'),
    authority: section(text, 'AUTHORITY'),
    additional: section(text, 'ADDITIONAL'),
    ...(udpSize !== undefined && { udpSize: Number(udpSize) }),
    text,
  };
}

/** The lines of `dig +short`, sorted, since answers come in random order. */
export async function digShort(port: number, ...words: readonly string[]): Promise<string[]> {
  const text = await run(port, [...words, '+short']);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}

async function run(port: number, words: readonly string[]): Promise<string> {
  // Without -r the person's ~/.digrc would count.
  const args = ['-r', '@127.0.0.1', '-p', String(port), '+time=2', '+tries=1', ...words];
  const { stdout } = await promisify(execFile)('dig', args);
  return stdout;
}

function section(text: string, name: string): DigRecord[] {
  const [, lines = ''] = new RegExp(`^;; ${name} SECTION:\n((?:.+\n)*)`, 'm').exec(text) ?? [];
  return lines
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'))
    .map((line) => {
      const [owner = '', ttl = '', , type = '', ...data] = line.split(/\s+/);
      return { name: owner, ttl: Number(ttl), type, data: data.join(' ') };
    });
}
