import { containerName } from '../../docker/index.ts';
import type { Environment } from '../../lib/environment.ts';
import { hostPort } from '../../lib/host-port.ts';
import type { Logger } from '../../lib/log/index.ts';
import type { Options } from '../../options.ts';
import { isHeld, type Registry } from '../../registries/index.ts';
import { describeCheck, type Service, unregistered } from '../../services/index.ts';
import { Host, type Looked } from './host.ts';
import { entriesIn, openRegistries } from './registry.ts';
import { table } from './table.ts';

export interface CheckRequest {
  /** Name or ID; every running container without it. */
  readonly container?: string;
  readonly json: boolean;
}

/** A service that would wait, because somebody else holds its entry in a registry. */
interface Conflict {
  readonly container: string;
  readonly id: string;
  readonly registry: string;
  readonly holder: string;
}

/**
 * What would be registered, and why other ports would not be. Asks Docker, and the registries that are named, if any,
 * which entries somebody else holds there; writes nothing.
 *
 * @returns the text to print
 * @throws Error with one sentence where Docker does not answer, or the named container is not there
 */
export async function check(
  options: Options,
  env: Environment,
  { container, json }: CheckRequest,
  log: Logger,
  signal: AbortSignal,
): Promise<string> {
  const host = await Host.meet(options, env, signal);
  try {
    const looked =
      container === undefined ? await host.lookAtAll(false, signal) : [await only(host, container, signal)];
    const asked = options.registries.filter((uri) => !/^memory:/i.test(uri));
    const conflicts = await openRegistries({ ...options, registries: asked }, env, host, log, async (registries) =>
      (await Promise.all(registries.map((registry) => conflictsIn(registry, looked, signal)))).flat(),
    );
    return json ? asJson(looked, conflicts) : asText(looked, conflicts, container !== undefined);
  } finally {
    host.close();
  }
}

async function conflictsIn(registry: Registry, looked: readonly Looked[], signal: AbortSignal): Promise<Conflict[]> {
  const own = new Set((await entriesIn(registry, signal)).map(({ key }) => key));
  const services = looked
    .flatMap(({ derivation }) => derivation.services)
    .filter((service) => isHeld(registry, service));
  return services.flatMap((service) => {
    const { key, id } = registry.entry(service);
    const holder = own.has(key) ? undefined : registry.others?.().holders.get(key);
    if (holder === undefined) return [];
    return [{ container: service.origin.containerName, id, registry: registry.name, holder }];
  });
}

async function only(host: Host, container: string, signal: AbortSignal): Promise<Looked> {
  const looked = await host.lookAt(container, signal);
  if (looked === undefined) {
    throw new Error(
      `There is no container ${JSON.stringify(container)} on this host; docker ps -a shows those there are.`,
    );
  }
  return looked;
}

function asJson(looked: readonly Looked[], conflicts: readonly Conflict[]): string {
  const containers = looked.map(({ snapshot, derivation: { services, ignored, notices } }) => ({
    id: snapshot.Id,
    name: containerName(snapshot.Name),
    services: services.map(({ origin: { exposedPort, sources }, ...service }) => ({
      ...service,
      exposedPort,
      sources,
    })),
    ignored,
    notices,
  }));
  return `${JSON.stringify({ containers, conflicts }, undefined, 2)}\n`;
}

/** @param sources whether to say where each field comes from */
function asText(looked: readonly Looked[], conflicts: readonly Conflict[], sources: boolean): string {
  const services = looked.flatMap(({ derivation }) => derivation.services);
  const ignored = looked.flatMap(({ snapshot, derivation }) =>
    unregistered(derivation).map(({ port, reason }) => [containerName(snapshot.Name), port, reason]),
  );
  const notices = looked.flatMap(({ derivation }) => derivation.notices.filter(({ level }) => level !== 'debug'));
  return [
    services.length === 0 ? 'Nothing would be registered.\n' : table(HEADINGS, services.map(row)),
    ...(sources && services.length > 0 ? [table(['SERVICE', 'PORT', 'FIELD', 'FROM'], services.flatMap(from))] : []),
    ...(conflicts.length === 0 ? [] : [table(['IN CONFLICT', 'ID', 'IN', 'HELD BY'], conflicts.map(conflictRow))]),
    ...(ignored.length === 0 ? [] : [table(['NOT REGISTERED', 'PORT', 'BECAUSE'], ignored)]),
    ...(notices.length === 0
      ? []
      : [
          table(
            ['NOTICE'],
            notices.map(({ message }) => [message]),
          ),
        ]),
  ].join('\n');
}

const conflictRow = ({ container, id, registry, holder }: Conflict) => [container, id, registry, holder];

const HEADINGS = ['CONTAINER', 'PORT', 'SERVICE', 'ADDRESS', 'TAGS', 'CHECK', 'ID'];

function row({ origin, protocol, name, address, port, tags, check, id }: Service): readonly string[] {
  return [
    origin.containerName,
    `${origin.exposedPort}/${protocol}`,
    name,
    hostPort(address, port),
    tags.join(',') || '-',
    check === undefined ? '-' : describeCheck(check),
    id,
  ];
}

/** Where each field of a service comes from. */
const from = ({ name, protocol, origin }: Service): string[][] =>
  Object.entries(origin.sources ?? {}).map(([field, source]) => [
    name,
    `${origin.exposedPort}/${protocol}`,
    field,
    source,
  ]);
