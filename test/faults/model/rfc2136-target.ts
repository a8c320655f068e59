import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import { idLabel } from '../../../src/registries/kit/index.ts';
import { decodeMark, type Mark } from '../../../src/registries/rfc2136/mark.ts';
import { type DnsTestServer, KEY_ENV } from '../../support/dns-server.ts';
import { foreignIds, Remote, stampsBySlot, type Target, withoutTagsAndHealth } from './targets.ts';

/** What nobody but `putForeign` writes. */
const FOREIGN = '10.255.0.1';

/** A zone of the lane's own. */
export class Rfc2136Target extends Remote implements Target {
  readonly comparable = withoutTagsAndHealth;
  readonly #server: DnsTestServer;
  readonly #zone: string;

  constructor(server: DnsTestServer, listen: number, host: string, zone: string) {
    super(server.port, listen, host);
    this.#server = server;
    this.#zone = zone;
  }

  open(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('rfc2136', `/${this.#zone}`, owner, log, KEY_ENV);
  }

  openBeside(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('rfc2136', `/${this.#zone}`, owner, log, KEY_ENV, this.#server.address);
  }

  async empty(): Promise<void> {
    await this.#server.empty(this.#zone);
    this.proxy.cut();
  }

  /** An operator's records, or in one slot those of another host's registrator, in place of what is there. */
  async putForeign(slot: number, port: number): Promise<void> {
    const key = this.#foreignKeys()[slot];
    const text = slot === 1 ? `heritage=registrator,host=another,port=${port}` : `port ${port}`;
    const records = [`A ${FOREIGN}`, `TXT "${text}"`].map((record) => `update add ${key}.${this.#zone}. 60 ${record}`);
    await this.#server.update([`update delete ${key}.${this.#zone}.`, ...records]);
  }

  async removeForeign(slot: number): Promise<void> {
    await this.#server.update([`update delete ${this.#foreignKeys()[slot]}.${this.#zone}.`]);
  }

  async own(): Promise<Map<string, string>> {
    const lines = await this.#server.records(this.#zone);
    const foreign = new Set(this.#foreignKeys());
    const own = new Map<string, string>();
    for (const line of lines) {
      const [key = '', type = ''] = line.split(' ');
      const mark = type === 'TXT' ? markIn(line) : undefined;
      if (mark !== undefined) own.set(mark.id, entry(key, mark, lines));
      // An operator who has taken a name of ours has left the rest of it.
      const target = type === 'SRV' || type === 'PTR' ? line.slice(line.lastIndexOf(' ') + 1) : undefined;
      const isHeld = lines.some((other) => other.startsWith(`${target} TXT "heritage=registrator,`));
      if (target !== undefined && !foreign.has(target) && !isHeld) own.set(line, 'is there without its instance');
    }
    return own;
  }

  async foreign(): Promise<Map<number, string>> {
    const lines = await this.#server.records(this.#zone);
    return stampsBySlot(
      this.#foreignKeys().map((key) =>
        lines.includes(`${key} A ${FOREIGN}`)
          ? lines.filter((line) => line.startsWith(`${key} `)).join('\n')
          : undefined,
      ),
    );
  }

  #foreignKeys(): string[] {
    return foreignIds(this.host).map((id) => `${idLabel(id)}.web`);
  }
}

function markIn(line: string): Mark | undefined {
  const text = [...line.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('');
  return decodeMark([Buffer.from(text)]);
}

/** In the words of ModelHost.expected, as far as DNS tells; else what is wrong with it. */
function entry(key: string, { name, address, port, protocol }: Mark, lines: readonly string[]): string {
  const needed = [`${key} A ${address}`, `${name} A ${address}`, `_${name}._${protocol} SRV 1 1 ${port} ${key}`];
  const missing = needed.filter((line) => !lines.includes(line));
  return missing.length === 0 ? `${name} ${address}:${port}` : `${key} lacks ${missing.join(', ')}`;
}
