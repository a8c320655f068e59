import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import type { Logger } from '../lib/log/index.ts';
import { checkId } from './checks/state.ts';
import { SAVED, type Saved, WHOLE } from './saved.ts';
import type { Instance, Store } from './store.ts';

/** Bytes; some hundred thousand services. */
const LARGEST = 64 * 1024 * 1024;
const VERSION = 1;
/** Milliseconds that changes are gathered for. */
const GATHER = 1_000;

const FILE = v.object({
  registrator: v.literal(VERSION),
  node: v.string(),
  index: v.optional(WHOLE),
  services: v.array(v.unknown()),
});

interface Snapshot {
  /** The store's, when it was written; 0 where the file is of a version that did not keep it. */
  readonly index: number;
  readonly services: readonly Saved[];
}

/**
 * Fills the store with what the file says; its entries are marked (`Instance.fromSnapshot`) until Docker confirms them.
 * Without the file, nothing; a file that is none of ours is told of once, and not used. Never rejects.
 */
export async function restoreSnapshot(file: string, store: Store, log: Logger): Promise<void> {
  try {
    const text = await read(file);
    if (text === undefined) return;
    const { index, services } = parseSnapshot(text, store.node.name);
    store.continueFrom(index);
    for (const { service, check } of services) store.restore(service, check);
    log.info(
      { file, services: services.length },
      'answering with what ran before the restart, until Docker was looked at',
    );
  } catch (error) {
    log.warn(
      { file, err: (error as Error).message },
      'the snapshot file cannot be used; the catalogue begins empty, and writes the file anew',
    );
  }
}

/** Writes the file soon after the start, which has a new index, and after each change of the store. */
export class SnapshotWriter {
  readonly #file: string;
  readonly #store: Store;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  #changed = false;
  #work: Promise<void> | undefined;
  #failing = false;

  constructor(file: string, store: Store, log: Logger) {
    this.#file = file;
    this.#store = store;
    this.#log = log;
  }

  start(): void {
    this.#store.listen(({ kind }) => {
      if (kind !== 'output') this.#schedule();
    }, this.#stopped.signal);
    this.#schedule();
  }

  /** Writes what was not written yet, and ends. */
  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#work;
  }

  #schedule(): void {
    this.#changed = true;
    this.#work ??= this.#writeSoon().finally(() => {
      this.#work = undefined;
    });
  }

  async #writeSoon(): Promise<void> {
    while (this.#changed) {
      await sleep(GATHER, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
      this.#changed = false;
      await this.#write();
    }
  }

  async #write(): Promise<void> {
    try {
      await replaceFile(this.#file, formatSnapshot(this.#store));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) {
        this.#log.warn(
          { file: this.#file, err: (error as Error).message },
          'the snapshot file cannot be written; after a restart the catalogue would begin with an older one',
        );
      }
      this.#failing = true;
    }
  }
}

export function formatSnapshot(store: Store): string {
  const services = store.all().map(({ service, checks }: Instance): Saved => {
    const own = checks.find(({ id }) => id === checkId(service.id));
    return own === undefined ? { service } : { service, check: { status: own.status, output: own.output } };
  });
  return JSON.stringify({ registrator: VERSION, node: store.node.name, index: store.index, services });
}

/** @throws Error with a sentence where it is not what `formatSnapshot` gives, or another host's */
export function parseSnapshot(text: string, node: string): Snapshot {
  const file: unknown = JSON.parse(text);
  if (!v.is(FILE, file)) throw new Error('It is no snapshot of this version.');
  if (file.node !== node) throw new Error(`It is the snapshot of another host, ${file.node.slice(0, 100)}.`);
  const services = file.services.map((saved, i) => {
    if (!v.is(SAVED, saved)) throw new Error(`Its service number ${i + 1} is none.`);
    return saved;
  });
  return { index: file.index ?? 0, services };
}

/** Regular files only: to open a pipe would wait for its other end. */
async function read(file: string): Promise<string | undefined> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('It is no regular file.');
    if (stat.size > LARGEST) throw new Error('It is too large.');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** As one step: whoever reads it, and whatever ends this process, it is the old one or the new one. For its owner only. */
async function replaceFile(file: string, text: string): Promise<void> {
  const next = `${file}.new`;
  await rm(next, { force: true });
  const handle = await open(next, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}
