import type { Logger } from '../../../src/lib/log/index.ts';
import { createRegistry, type Owner, type Registry } from '../../../src/registries/index.ts';
import { FaultProxy } from '../../support/proxy.ts';

export type RegistryState = 'down' | 'stalled' | 'slow' | 'refusing' | 'well';

/** A registry under test, as one sequence has it: how registrator reaches it, how it goes wrong, and what it holds. */
export interface Target extends AsyncDisposable {
  /** Whether it keeps what it holds when registrator is killed. */
  readonly outlives: boolean;
  /** Seconds of `--ttl`. */
  readonly ttl?: number;
  /** Whether an entry's address is its key, and its ID is not. */
  readonly keyedByAddress?: boolean;
  prepare?(): Promise<void>;
  open(owner: Owner, log: Logger): Promise<Registry>;
  /** For another registrator beside the one under test, whom no fault reaches. */
  openBeside?(owner: Owner, log: Logger): Promise<Registry>;
  become(state: RegistryState): Promise<void>;
  /** Forgets all of this sequence's, as a server that was restarted on a new disk. */
  empty(): Promise<void>;
  /** As an operator, or another host's registrator, would: what it says stays until somebody changes it. */
  putForeign(slot: number, port: number): Promise<void>;
  removeForeign(slot: number): Promise<void>;
  /** Deletes every note of whose an entry is. */
  loseClaims?(): Promise<void>;
  /** IDs of entries of which no registrator that starts now could know whose they are. */
  unclaimed?(): Promise<ReadonlySet<string>>;
  /** An operator's maintenance mode. @returns whether there was such a service */
  maintain?(id: string, on: boolean): Promise<boolean>;
  /** IDs that are in an operator's maintenance mode. */
  maintained?(): Promise<ReadonlySet<string>>;
  rotateToken?(): Promise<void>;
  /** What it holds of this sequence's hosts, by ID, in the words of ModelHost.expected. */
  own(): Promise<Map<string, string>>;
  /** The expectation as far as this registry can hold it. */
  comparable?(expected: ReadonlyMap<string, string>): Map<string, string>;
  /** The key of an expected entry that `putForeign` puts something at. */
  slotOf?(id: string, text: string): number;
  /** What it holds of others in this sequence, by slot: every byte, and by which write, where the registry says that. */
  foreign(): Promise<Map<number, string>>;
}

export const SLOW = 40;

/** A server behind a proxy that is a bad network. */
export abstract class Remote {
  readonly outlives = true;
  readonly proxy: FaultProxy;
  readonly host: string;

  readonly ttl?: number;

  /** @param listen a port that no client is given meanwhile */
  constructor(port: number, listen: number, host: string, ttl?: number) {
    this.proxy = new FaultProxy(port, listen);
    this.host = host;
    if (ttl !== undefined) this.ttl = ttl;
  }

  /** The registry behind the proxy, or at `address`, at a path that is empty or begins with a slash. */
  protected connect(
    scheme: string,
    path: string,
    owner: Owner,
    log: Logger,
    env: Record<string, string> = {},
    address = this.proxy.address,
  ): Promise<Registry> {
    const context = { owner, env, log, ...(this.ttl === undefined ? {} : { ttl: this.ttl }) };
    return createRegistry(`${scheme}://${address}${path}`, context);
  }

  async become(state: RegistryState): Promise<void> {
    this.proxy.delayMs = state === 'slow' ? SLOW : 0;
    if (state === 'stalled') this.proxy.stall();
    else this.proxy.resume();
    // What a server refuses while it is sick: the connection is reset in the middle.
    if (state === 'refusing') this.proxy.cut();
    if (state === 'down') await this.proxy.stop();
    else if (!this.#up) await this.proxy.start();
    this.#up = state !== 'down';
  }
  #up = false;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.empty();
    await this.proxy.stop();
  }

  abstract empty(): Promise<void>;
}

/** The expectation of a registry that holds a name, an address and a port alone. */
export function withoutTagsAndHealth(expected: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...expected].map(([id, text]) => [id, text.replace(/ \[.*$/, '')]));
}

/**
 * The IDs of what `putForeign` puts, by slot: an operator's own, two of hosts whose names begin like ours, and three that
 * our containers ask for.
 */
export const foreignIds = (host: string) => [
  `operators-${host}`,
  `own-${host}-2-a`,
  `${host}-2:a:80`,
  `own-${host}-a`,
  `own-${host}-b`,
  `shared-${host}`,
];

/** For `Target.foreign`: the stamps of those that are there. */
export function stampsBySlot(stamps: readonly (string | undefined)[]): Map<number, string> {
  return new Map(
    [...stamps.entries()].flatMap(([slot, stamp]) => (stamp === undefined ? [] : [[slot, stamp] as const])),
  );
}
