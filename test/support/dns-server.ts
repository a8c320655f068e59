import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { textOf, type ZoneRecord } from '../../src/registries/rfc2136/message.ts';
import { freePort } from './ports.ts';
import { type Command, Server } from './server.ts';

const run = promisify(execFile);

/** The key that may do all in every zone. */
export const KEY = {
  name: 'registrator',
  algorithm: 'hmac-sha256',
  secret: Buffer.from('a secret of the tests, 32 bytes.').toString('base64'),
} as const;

/** What registrator is told of it. */
export const KEY_ENV = { RFC2136_TSIG_KEYNAME: KEY.name, RFC2136_TSIG_SECRET: KEY.secret } as const;

/** A record as nsupdate takes it, after `update add`. */
export function nsupdateWords(record: ZoneRecord): string {
  const [name, type, ...data] = textOf(record).split(' ');
  return `${name}. 10 ${type} ${type === 'TXT' ? `"${data.join(' ')}"` : data.join(' ')}`;
}

/** A primary server of these zones, on loopback: they take updates and transfers from those with the key. */
export abstract class DnsTestServer extends Server {
  readonly zones: readonly string[];
  #port = 0;

  constructor(name: string, zones: readonly string[] = ['services.example']) {
    super(name);
    this.zones = zones;
  }

  get port(): number {
    return this.#port;
  }
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Writes the configuration. @returns how it is started */
  protected abstract configured(): Command;

  protected async command(): Promise<Command> {
    if (this.#port === 0) this.#port = await freePort();
    return this.configured();
  }

  protected async isReady(): Promise<boolean> {
    const answers = await Promise.all(this.zones.map((zone) => this.dig(zone, 'SOA', '+short')));
    return answers.every((text) => /^ns\./m.test(text));
  }

  /** What dig prints, asked by TCP with the key. */
  async dig(...words: readonly string[]): Promise<string> {
    const { algorithm, name, secret } = KEY;
    const common = ['-r', '@127.0.0.1', '-p', String(this.#port), '-y', `${algorithm}:${name}:${secret}`];
    const args = [...common, '+tcp', '+time=5', '+tries=1', ...words];
    const { stdout } = await run('dig', args, { maxBuffer: 2 ** 28 });
    return stdout;
  }

  /** All records of a zone but its own, as `name type data`, sorted, with names as they stand below the zone. */
  async records(zone = this.zones[0] ?? ''): Promise<string[]> {
    const text = await this.dig(zone, 'AXFR', '+noall', '+answer', '+onesoa');
    const lines = text.split('\n').flatMap((line) => {
      const [, name = '', type = '', data = ''] = /^(\S+)\s+\d+\s+IN\s+(\S+)\s+(.*)$/.exec(line) ?? [];
      if (type === '' || name === `${zone}.` || name === `ns.${zone}.`) return [];
      return [`${name.replace(`.${zone}.`, '')} ${type} ${data.replaceAll(`.${zone}.`, '')}`];
    });
    return lines.sort();
  }

  /** Runs nsupdate's words with the key, or another one. Rejects with what nsupdate says against them. */
  async update(words: readonly string[], key: Readonly<Record<keyof typeof KEY, string>> = KEY): Promise<void> {
    const child = spawn('nsupdate', ['-v', '-y', `${key.algorithm}:${key.name}:${key.secret}`]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.stdin.end(`server 127.0.0.1 ${this.#port}\n${words.join('\n')}\nsend\n`);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`nsupdate: ${output}`);
  }

  /** Removes what `records` shows. */
  async empty(zone = this.zones[0] ?? ''): Promise<void> {
    const names = new Set((await this.records(zone)).map((line) => line.split(' ')[0]));
    const words = [...names].map((name) => `update delete ${name}.${zone}.`);
    while (words.length > 0) await this.update(words.splice(0, 500));
  }

  protected write(file: string, text: string): string {
    const path = join(this.dir, file);
    writeFileSync(path, text);
    return path;
  }

  protected zoneText(zone: string): string {
    return `$TTL 60
$ORIGIN ${zone}.
@ SOA ns hostmaster 1 3600 600 86400 10
@ NS ns
ns A 127.0.0.1
`;
  }
}
