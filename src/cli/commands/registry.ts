import { failedOnItsOwn } from '../../discovery/index.ts';
import { containerName } from '../../docker/index.ts';
import { batches } from '../../lib/batches.ts';
import { compact } from '../../lib/compact.ts';
import type { Environment } from '../../lib/environment.ts';
import { hostPort } from '../../lib/host-port.ts';
import type { Logger } from '../../lib/log/index.ts';

import type { Options } from '../../options.ts';
import { BatchError, createRegistry, type Entry, isHeld, type Registry } from '../../registries/index.ts';
import { idPrefix } from '../../services/index.ts';
import { Host } from './host.ts';
import { table } from './table.ts';

/** Milliseconds that a registry has for its first answer. */
const CONNECT_TIMEOUT = 15_000;

/** An entry of this host: there as it should be, there without a running container, or not there, for somebody else has its key. */
interface ComparedEntry {
  readonly entry: Entry;
  readonly state: 'registered' | 'stale' | 'missing' | 'conflict';
  /** Who has the key, as words. */
  readonly holder?: string;
}

/** What one registry holds of this host, against what runs on it now. */
interface Comparison {
  readonly registry: Registry;
  readonly held: readonly ComparedEntry[];
}

/** @returns the text of `registrator ls`. @throws Error with one sentence */
export async function ls(
  options: Options,
  env: Environment,
  { json }: { readonly json: boolean },
  log: Logger,
  signal: AbortSignal,
): Promise<string> {
  return withRegistries(options, env, log, signal, async (compared) => {
    if (json) return `${JSON.stringify({ registries: compared.map(asJson) }, undefined, 2)}\n`;
    return compared
      .map(({ registry, held }) => `${registry.name}\n${held.length === 0 ? NOTHING : listed(held)}`)
      .join('\n');
  });
}

const NOTHING = 'holds nothing of this host, and no running container means anything.\n';
const HEADINGS = ['STATE', 'SERVICE', 'ADDRESS', 'ID'];

function listed(held: readonly ComparedEntry[]): string {
  const headings = held.some(({ holder }) => holder !== undefined) ? [...HEADINGS, 'HELD BY'] : HEADINGS;
  return table(headings, held.map(row));
}

/**
 * Removes the stale entries of this host, and nothing else.
 *
 * @returns the text of `registrator cleanup`
 * @throws Error with one sentence
 */
export async function cleanup(
  options: Options,
  env: Environment,
  { dryRun }: { readonly dryRun: boolean },
  log: Logger,
  signal: AbortSignal,
): Promise<string> {
  return withRegistries(options, env, log, signal, async (compared) => {
    const texts: string[] = [];
    for (const { registry, held } of compared) {
      const stale = held.filter(({ state }) => state === 'stale').map(({ entry }) => entry);
      if (!dryRun) await remove(registry, stale, signal);
      const said = dryRun ? 'would remove' : 'removed';
      const lines = stale.map((entry) => [said, entry.name, endpoint(entry), entry.id]);
      texts.push(
        `${registry.name}\n${lines.length === 0 ? 'nothing is stale.\n' : table(['CLEANUP', ...HEADINGS.slice(1)], lines)}`,
      );
    }
    return texts.join('\n');
  });
}

async function remove(registry: Registry, entries: readonly Entry[], signal: AbortSignal): Promise<void> {
  for (const batch of batches(entries, registry.batchSize)) {
    await registry.deregister(batch, signal).catch((error: unknown) => {
      const reason = error instanceof BatchError ? [...error.failures.values()][0] : error;
      throw new Error(`${registry.name} did not remove every stale entry: ${(reason as Error).message}`);
    });
  }
}

/** Looks at Docker once and at each registry, hands over what they hold, and closes everything. */
async function withRegistries(
  options: Options,
  env: Environment,
  log: Logger,
  signal: AbortSignal,
  use: (compared: readonly Comparison[]) => Promise<string>,
): Promise<string> {
  if (options.registries.some((uri) => /^memory:/i.test(uri))) {
    throw new Error(
      'memory:// lives in the registrator that serves it. Ask that one over HTTP, e.g. registrator ls consul://127.0.0.1:8500, or name another registry.',
    );
  }
  const host = await Host.meet(options, env, signal);
  try {
    return await openRegistries(options, env, host, log, async (registries) =>
      use(await Promise.all(registries.map((registry) => compare(registry, host, options, signal)))),
    );
  } finally {
    host.close();
  }
}

/** Hands over the registries that are asked for, as this host, and closes them. */
export async function openRegistries<T>(
  options: Options,
  env: Environment,
  host: Host,
  log: Logger,
  use: (registries: readonly Registry[]) => Promise<T>,
): Promise<T> {
  const registries: Registry[] = [];
  try {
    const context = compact({ owner: host.owner, env, log, hostAddress: host.address });
    for (const uri of options.registries) registries.push(await createRegistry(uri, context, options.plugins));
    return await use(registries);
  } finally {
    await Promise.allSettled(registries.map((registry) => registry.close()));
  }
}

/** This host's entries. @throws Error with one sentence where the registry does not answer in time */
export async function entriesIn(registry: Registry, signal: AbortSignal): Promise<readonly Entry[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT)]);
  return registry
    .connect(limit)
    .then(() => registry.registered(limit))
    .catch((error: Error) => {
      throw new Error(`${registry.name} does not answer: ${error.message}`);
    });
}

async function compare(registry: Registry, host: Host, options: Options, signal: AbortSignal): Promise<Comparison> {
  // First the registry, then Docker: what is registered in between is no stale entry.
  const entries = await entriesIn(registry, signal);
  const onSuccess = options.deregister === 'on-success';
  const looked = await host.lookAtAll(onSuccess, signal);
  const kept = looked
    .filter(({ snapshot }) => onSuccess && failedOnItsOwn(snapshot))
    .map(({ snapshot }) => idPrefix(host.owner.host, containerName(snapshot.Name)));
  const wanted = new Map(
    looked
      .flatMap(({ derivation }) =>
        derivation.services.filter((service) => isHeld(registry, service)).map((service) => registry.entry(service)),
      )
      .map((entry) => [entry.key, entry]),
  );
  const found = new Set(entries.map(({ key }) => key));
  // Under a name that this host has no longer, what is at another address is what it left there before it moved.
  const isWanted = ({ key, address }: Entry) =>
    host.isRenamed ? wanted.get(key)?.address === address : wanted.has(key);
  const isLive = (entry: Entry) => isWanted(entry) || kept.some((prefix) => entry.id.startsWith(prefix));
  const holders = registry.others?.().holders;
  const held = [
    ...entries.map((entry): ComparedEntry => ({ entry, state: isLive(entry) ? 'registered' : 'stale' })),
    ...[...wanted.values()]
      .filter(({ key }) => !found.has(key))
      .map((entry): ComparedEntry => {
        const holder = holders?.get(entry.key);
        return holder === undefined ? { entry, state: 'missing' } : { entry, state: 'conflict', holder };
      }),
  ].sort((a, b) => (a.entry.id < b.entry.id ? -1 : 1));
  return { registry, held };
}

const endpoint = ({ address, port }: Entry) => hostPort(address, port);

const row = ({ state, entry, holder }: ComparedEntry): readonly string[] => [
  state,
  entry.name,
  endpoint(entry),
  entry.id,
  ...(holder === undefined ? [] : [holder]),
];

function asJson({ registry, held }: Comparison) {
  const entries = held.map(({ state, holder, entry: { id, name, address, port } }) =>
    compact({ state, holder, id, name, address, port }),
  );
  return { registry: registry.name, entries };
}
