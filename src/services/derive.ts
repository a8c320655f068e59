import type { ContainerSnapshot } from '../docker/index.ts';
import { compact } from '../lib/compact.ts';
import { quote } from '../lib/quote.ts';
import { Budget } from '../template/index.ts';
import { chooseBinding, isElsewhere, type Place, serviceAddress } from './address.ts';
import { checkOf, initialStatus } from './check.ts';
import { type Container, type ContainerPort, joinedContainer, readContainer } from './container.ts';
import { fieldText, flag, isOn, metadata, numberField, type PortFields, ServiceFields } from './fields.ts';
import { dockerHealth, PAUSED } from './health.ts';
import { ServiceIds } from './id.ts';
import { MAX_NAME, MAX_SERVICES } from './limits.ts';
import { defaultName, type Naming, serviceName } from './name.ts';
import type { Derivation, DeriveContext, DeriveOptions } from './options.ts';
import { candidatePorts } from './ports.ts';
import { Report } from './report.ts';
import type { Health, Service } from './service.ts';
import { sourcesOf } from './sources.ts';
import { asTask, isTask, orchestratorName } from './swarm.ts';
import { ServiceTags } from './tags.ts';

/**
 * The services that a container means. Never throws: what is wrong with a container costs it that part, or that port,
 * and a notice says so.
 */
export function derive(snapshot: ContainerSnapshot, options: DeriveOptions, context: DeriveContext = {}): Derivation {
  const read = readContainer(snapshot);
  const container = context.swarmService === undefined ? read : asTask(read, context.swarmService);
  const report = new Report(container.name);
  const fields = new ServiceFields(container, report);
  const host = hostOf(snapshot, container, context);
  const ports = candidatePorts(container, host ?? container, fields, report);
  if (host === undefined || !isUp(container)) {
    const reason = isUp(container)
      ? joinObstacle(container, report)
      : `the container is ${quote(container.state)}; start it`;
    for (const { key } of ports) report.ignore(key, reason);
    return { services: [], notices: report.notices, ignored: report.ignored, fetches: [] };
  }

  fields.reportStrays(ports, report);
  const all = ports.flatMap((port) => offer(port, fields.for(port), container, host, options, report));
  const offers = all.slice(0, MAX_SERVICES);
  if (all.length > MAX_SERVICES || container.hasMorePorts || host.hasMorePorts) {
    report.say('warn', `it has more than ${MAX_SERVICES} ports; those beyond are not registered.`);
  }
  // A port that is ignored counts as well: to ignore one is not to rename the other (as in gliderlabs/registrator).
  const grouped = offers.length > 1;
  const template = offers.length > 0 ? options.tags : undefined;
  const budget = new Budget();
  const draft: Draft = {
    options,
    budget,
    room: new Budget(ROOM),
    report,
    naming: { ...fallbackName(container, options, context), grouped },
    ids: new ServiceIds(options.hostname, container, grouped, report),
    tags: new ServiceTags({ snapshot, template, fetched: context.fetched ?? new Map(), budget }, report),
    metadata: new Map(),
  };
  const services = offers.flatMap((each) => service(each, draft));
  return {
    services,
    notices: report.notices,
    ignored: report.ignored,
    fetches: draft.tags.fetches,
    ...compact({ waits: report.waits }),
  };
}

/** A port that can be reached where the mode looks for it. */
interface Offer {
  readonly port: ContainerPort;
  readonly fields: PortFields;
  readonly place: Place;
  /** By the mode: the host's, or the container's own. */
  readonly number: number;
}

/** What the services of one container share. */
interface Draft {
  readonly options: DeriveOptions;
  readonly report: Report;
  /** For what labels ask to be done, and for what they ask to be written. */
  readonly budget: Budget;
  readonly room: Budget;
  readonly naming: Naming;
  readonly ids: ServiceIds;
  readonly tags: ServiceTags;
  /** What is made already, by the fields it is made of. */
  readonly metadata: Map<PortFields, Metadata>;
}

type Metadata = Readonly<Record<string, string>>;

/** The container whose network this one is in; undefined where it joins one that was not found. */
function hostOf(snapshot: ContainerSnapshot, container: Container, { joined }: DeriveContext): Container | undefined {
  if (joinedContainer(snapshot) === undefined) return container;
  return joined === undefined ? undefined : readContainer(joined);
}

const isUp = ({ state }: Container) => state === 'running' || state === 'paused';

function joinObstacle({ networkMode, ports }: Container, report: Report): string {
  const reason = `the container whose network it joins (${quote(networkMode)}) was not found; start that one`;
  report.say(ports.length > 0 ? 'warn' : 'debug', `${reason}. Nothing is registered until then.`);
  return reason;
}

function offer(
  port: ContainerPort,
  fields: PortFields,
  container: Container,
  host: Container,
  options: DeriveOptions,
  report: Report,
): readonly Offer[] {
  const internal = flag(fields, 'internal', report) ?? options.internal;
  const binding = chooseBinding(port.bindings, options.ipFamily);
  if (!internal && binding === undefined) {
    const swarm = isTask(container) && !options.swarm ? ', or --swarm for the ports of its Swarm service' : '';
    report.ignore(port.key, `not published; publish it, or use --internal or SERVICE_INTERNAL=true${swarm}`);
    return [];
  }
  const number = internal || binding === undefined ? port.number : binding.port;
  return [{ port, fields, place: { container, host, internal, binding }, number }];
}

function service({ port, fields, place, number }: Offer, draft: Draft): readonly Service[] {
  const { options, report, naming, ids } = draft;
  const { container } = place;
  const unwanted = unwantedBecause(fields, options);
  if (unwanted !== undefined) {
    report.ignore(port.key, unwanted);
    return [];
  }
  const found = serviceAddress(place, fields, options, report);
  if ('missing' in found) {
    if (found.ofHost) report.wait(found.missing);
    // Told of once, as an error, for all containers.
    if (found.ofHost && options.ownNetwork) report.ignore(port.key, found.missing);
    else report.miss(port.key, found.missing);
    return [];
  }
  const id = ids.give(fields, port);
  if (id === undefined) {
    report.miss(port.key, `its ID would have more than ${MAX_NAME} bytes; set SERVICE_ID to a shorter one`);
    return [];
  }
  const { address } = found;
  const chosen = numberField(fields, 'port', report);
  const target = { address, port: chosen ?? number };
  const health = dockerHealth(container, initialStatus(fields, report));
  const check = checkOf(
    fields,
    { ...target, exposedPort: port.number, containerId: container.id, hasHealthcheck: health !== undefined },
    options,
    draft,
  );
  const said = words(port, fields, draft);
  return [
    {
      id,
      name: serviceName(fields, port, naming, report),
      ...target,
      protocol: port.protocol,
      ...said,
      ...compact({
        check,
        ttl: options.ttl,
        weight: numberField(fields, 'weight', report),
        drain: (flag(fields, 'drain', report) ?? options.drain) || undefined,
        unready: isUnready(health, flag(fields, 'require_healthy', report) ?? options.requireHealthy) || undefined,
        enableTagOverride: flag(fields, 'enable_tag_override', report) || undefined,
        elsewhere: isElsewhere(address, chosen !== undefined, place, options) || undefined,
        // Where another check is asked for, that one says how the service is.
        health: container.state === 'paused' ? PAUSED : check?.type === 'docker' ? health : undefined,
      }),
      origin: {
        containerId: container.id,
        containerName: container.name,
        image: container.image,
        exposedPort: port.number,
        startedAt: container.startedAt,
        networks: networksOf(place.host),
        sources: sourcesOf(fields, {
          address: found.source,
          name: naming.fallbackSource,
          internal: place.internal,
          metaKeys: Object.keys(said.meta),
          commonTags: draft.tags.hasCommon,
          healthcheck: options.dockerHealth && health !== undefined,
        }),
      },
    },
  ];
}

function fallbackName(container: Container, options: DeriveOptions, { imageTags }: DeriveContext) {
  const given = orchestratorName(container, options);
  if (given !== undefined) return { fallback: given, fallbackSource: options.swarm ? '--swarm' : '--compose-names' };
  const fallback = defaultName(container, imageTags);
  const ofContainer = fallback === container.name && !container.image.includes(fallback);
  return { fallback, fallbackSource: `default: the ${ofContainer ? 'container' : 'image'}` };
}

function networksOf({ networkMode, networks }: Container): readonly string[] {
  const started = networkMode === 'default' ? 'bridge' : networkMode;
  const others = networks.map(({ name }) => name).filter((name) => name !== started);
  return others.length === networks.length && (others.length > 0 || started === '') ? others : [started, ...others];
}

/** A container without a HEALTHCHECK counts as ready. */
const isUnready = (health: Health | undefined, required: boolean) =>
  required && health !== undefined && health.status !== 'passing';

/** What labels add in any number, as far as the container's budget reaches: each service is written in full. */
function words(port: ContainerPort, fields: PortFields, draft: Draft): Pick<Service, 'tags' | 'meta'> {
  const { room, report } = draft;
  const meta = draft.metadata.get(fields) ?? metadata(fields, report);
  draft.metadata.set(fields, meta);
  const tags = draft.tags.for(fields, port);
  const pairs = Object.entries(meta);
  const characters = [...tags, ...pairs.flat()].reduce((sum, word) => sum + word.length, 0);
  if (room.reaches(tags.length + pairs.length + characters / STEP_CHARACTERS)) return { tags, meta };
  report.exceed(`the tags and metadata of port ${port.key}`);
  return { tags: [], meta: {} };
}

/** Steps for all tags and metadata of one container: some 1.5 MB of text. */
const ROOM = 25_000;
/** Characters that cost as much as one step to write to a registry. */
const STEP_CHARACTERS = 64;

/** Why the user does not want the port registered; undefined where they do. */
function unwantedBecause(fields: PortFields, options: DeriveOptions): string | undefined {
  if (isOn(fields, 'ignore')) return `${quote(fields.get('ignore')?.key ?? '')} asks to ignore it`;
  if (options.explicit && fieldText(fields, 'name') === undefined) {
    return 'it has no SERVICE_NAME, which --explicit asks for; set SERVICE_NAME';
  }
  return undefined;
}
