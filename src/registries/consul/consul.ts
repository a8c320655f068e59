import { createHash } from 'node:crypto';
import { checked } from '../../lib/checked.ts';
import { compact } from '../../lib/compact.ts';
import { type HttpClient, HttpStatusError } from '../../lib/http/index.ts';
import { type Logger, problemsOf } from '../../lib/log/index.ts';
import { type Check, type Health, PAUSED, parseDuration, type Service } from '../../services/index.ts';
import { each, Findings, HOST_KEY, holderOf, markIn, ownerMark, ownership, withoutMark } from '../kit/index.ts';
import type { RegistryContext } from '../registry.ts';
import {
  ConflictError,
  type Entry,
  ForbiddenError,
  type Others,
  type Owner,
  RefusedError,
  type Registry,
} from '../registry.ts';
import { AGENT_CHECKS, AGENT_SERVICE, AGENT_SERVICES, type AgentService, NO_CONSUL, SERVICE_MARKS } from './answers.ts';
import { Burst } from './burst.ts';
import { type ConsulConnection, consulClient } from './client.ts';

/** Calls of one batch under way at once: a heartbeat has one for each container with a HEALTHCHECK. */
const CONCURRENCY = 8;

/** Consul's agent API (`/v1/agent`), for `consul://`, `consul-tls://` and `consul-unix://`. */
export async function consul(uri: string, context: RegistryContext): Promise<Registry> {
  return new Consul(consulClient(uri, context.env), context);
}

interface Known {
  readonly isCritical: boolean;
  readonly at: number;
}

class Consul implements Registry {
  readonly name: string;
  readonly showsHealth = true;
  /** The agent API has no transactions. */
  readonly batchSize = 1;
  readonly #client: HttpClient;
  readonly #hasToken: boolean;
  readonly #owner: Owner;
  readonly #log: Logger;
  /** IDs that were registered with a check, as far as we know: one that is no longer asked for has to be removed. */
  readonly #checked = new Set<string>();
  /** IDs of paused containers, which Consul shows as critical by maintenance mode: ours, or an operator's that was there before. */
  readonly #maintenance = new Set<string>();
  #findings: Findings;
  readonly #burst = new Burst((signal) => this.#readOthers(signal));
  /** IDs whose check the agent refused since it was connected to: it is asked again when it was away, or we were. */
  readonly #checkless = new Set<string>();
  /** What was last known of our own, by ID: whether a check of it was critical, and when (milliseconds that never jump). */
  #known = new Map<string, Known>();
  /** What was known of those that the last reading no longer had. */
  #gone: ReadonlyMap<string, Known> = new Map();

  constructor({ client, name, hasToken }: ConsulConnection, { owner, log }: RegistryContext) {
    this.#client = client;
    this.#hasToken = hasToken;
    this.name = name;
    this.#owner = owner;
    this.#findings = new Findings(owner);
    this.#log = log;
  }

  async connect(signal: AbortSignal): Promise<void> {
    this.#checkless.clear();
    await this.#client.get('/v1/status/leader', { signal, timeout: 5_000 });
    if (this.#hasToken) await this.#checkToken(signal);
  }

  /** The agent takes an unknown token until something is written: better to be told at once. */
  async #checkToken(signal: AbortSignal): Promise<void> {
    await this.#client.get('/v1/acl/token/self', { signal, timeout: 5_000 }).catch((error: unknown) => {
      if (!(error instanceof HttpStatusError)) throw error;
      // 401: the agent has no ACLs, and takes any token.
      if (error.status === 403) throw new Error(UNKNOWN_TOKEN);
    });
  }

  entry(service: Service): Entry {
    const { meta } = consulMeta(service, this.#owner);
    return compact({
      key: service.id,
      content: content(agentService(service, meta)),
      id: service.id,
      name: service.name,
      address: service.address,
      port: service.port,
      health: service.health?.status,
    });
  }

  register(services: readonly Service[], signal: AbortSignal): Promise<void> {
    return each(
      services,
      (service) => service.id,
      CONCURRENCY,
      (service) => this.#burst.during(() => this.#registerOne(service, signal)),
    );
  }

  async #registerOne(service: Service, signal: AbortSignal): Promise<void> {
    const { meta, dropped } = consulMeta(service, this.#owner);
    for (const reason of dropped) this.#tellOnce(service, reason);
    if (!isPath(service.id)) {
      const named = `Consul could never be told to remove a service with the ID "${service.id}"`;
      throw new RefusedError(`${named}: give the container another SERVICE_ID.`);
    }
    if (!(await this.#burst.isFree(service.id, signal)))
      await this.#expectOwn(service.id, signal, (found) => says(found) === says(agentService(service, meta)));
    await this.#register(service, meta, signal);
    await this.#dropOldCheck(service, signal);
    await this.#maintain(service, signal);
    this.#known.set(service.id, { isCritical: false, at: performance.now() });
  }

  /** What the agent does not take may be the check alone, such as a script where those are disabled. */
  async #register(service: Service, meta: Meta, signal: AbortSignal): Promise<void> {
    const { check, ...unchecked } = service;
    const refused = await this.#send(service, meta, signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    this.#checkless.delete(service.id);
    if (refused === undefined) return;
    if (check === undefined || !(refused instanceof RefusedError) || refused instanceof ForbiddenError) throw refused;
    await this.#send(unchecked, { ...meta, [CHECK_MARK]: `${REFUSED}${meta[CHECK_MARK]}` }, signal).catch(() => {
      throw refused;
    });
    this.#checkless.add(service.id);
    const hint = /scripts are disabled/i.test(refused.message)
      ? ' An agent runs scripts with enable_script_checks = true in its configuration.'
      : '';
    const subject = `Container ${service.origin.containerName}: its service is registered without a check`;
    this.#tellOnce(service, `${subject}, which the agent does not take. ${refused.message}${hint}`);
  }

  #send(service: Service, meta: Meta, signal: AbortSignal): Promise<void> {
    return this.#put('/v1/agent/service/register', signal, {
      data: registration(service, meta),
      needs: `service:write for "${service.name}"`,
    });
  }

  deregister(entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    return each(
      entries,
      (entry) => entry.key,
      CONCURRENCY,
      async ({ id, name }) => {
        if (!(await this.#expectOwn(id, signal))) return;
        await this.#put(`/v1/agent/service/deregister/${encodeURIComponent(id)}`, signal, {
          needs: `service:write for "${name}"`,
        }).catch((error: unknown) => {
          if (!isUnknown(error)) throw error;
        });
        this.#checked.delete(id);
        this.#known.delete(id);
        this.#maintenance.delete(id);
      },
    );
  }

  async registered(signal: AbortSignal): Promise<readonly Entry[]> {
    const at = performance.now();
    const [services, checks] = await Promise.all([
      this.#client.get<unknown>(SERVICES, { signal }),
      this.#client.get<unknown>('/v1/agent/checks', { signal }),
    ]);
    const findings = new Findings(this.#owner);
    this.#checked.clear();
    const paused = new Set(this.#maintenance);
    this.#maintenance.clear();
    const critical = new Set<string>();
    const reported = new Map<string, Health['status']>();
    for (const { CheckID, ServiceID, Status, Name, Notes } of Object.values(
      checked(AGENT_CHECKS, checks.data, NO_CONSUL),
    )) {
      if (CheckID === checkId(ServiceID)) {
        this.#checked.add(ServiceID);
        if (Status === 'critical') critical.add(ServiceID);
      }
      const isMaintenance = CheckID === maintenanceId(ServiceID);
      // Other maintenance is an operator's word, and the state of any other check the agent's or the application's affair.
      const showsPause = isMaintenance && (Notes === PAUSED.output || paused.has(ServiceID));
      if (showsPause) this.#maintenance.add(ServiceID);
      if (showsPause || (Name === DOCKER_CHECK && !reported.has(ServiceID))) reported.set(ServiceID, Status);
    }
    for (const service of Object.values(checked(AGENT_SERVICES, services.data, NO_CONSUL))) {
      const { ID, Service, Address, Port, Meta: held } = service;
      const meta = this.#checkless.has(ID) ? withoutRefusal(held ?? {}) : (held ?? {});
      const entry = {
        key: ID,
        content: content({ ...service, Meta: meta }),
        id: ID,
        name: Service,
        address: Address,
        port: Port,
      };
      findings.add(compact({ ...entry, health: reported.get(ID) }), { mark: markIn(meta) });
    }
    this.#findings = findings;
    this.#burst.saw([...findings.holders.keys()], at, findings.own.length + findings.holders.size);
    this.#note(findings.own, critical);
    return findings.own;
  }

  others(): Others {
    return this.#findings;
  }

  /** IDs of services without this host's mark. The agent leaves ours out; one that does not know filters tells of all. */
  async #readOthers(signal: AbortSignal): Promise<string[]> {
    const host = JSON.stringify(this.#owner.host);
    const params = { filter: `"${HOST_KEY}" not in Meta or Meta["${HOST_KEY}"] != ${host}` };
    const { data } = await this.#client.get<unknown>(SERVICES, { params, signal });
    return Object.values(checked(SERVICE_MARKS, data, NO_CONSUL))
      .filter(({ Meta }) => Meta?.[HOST_KEY] !== this.#owner.host)
      .map(({ ID }) => ID);
  }

  /** Consul has no expiry of its own for services: what is sent is Docker's word on their health. */
  refresh(services: readonly Service[], signal: AbortSignal): Promise<void> {
    return each(
      services,
      (service) => service.id,
      CONCURRENCY,
      async (service) => {
        if (!reportsHealth(service)) return this.#maintain(service, signal);
        await this.#put(`/v1/agent/check/update/${encodeURIComponent(checkId(service.id))}`, signal, {
          data: { Status: service.health?.status ?? 'critical', Output: service.health?.output ?? '' },
          needs: `service:write for "${service.name}"`,
        });
      },
    );
  }

  #note(own: readonly Entry[], critical: ReadonlySet<string>): void {
    const now = performance.now();
    const known = new Map(own.map(({ id }) => [id, { isCritical: critical.has(id), at: now }]));
    this.#gone = new Map([...this.#known].filter(([id]) => !known.has(id)));
    this.#known = known;
  }

  /**
   * It was critical when it was last seen; or that was so long ago that it may have been since, and the agent, which has
   * others of ours still, has not lost its data.
   */
  expelled({ id, check }: Service): boolean {
    const last = this.#gone.get(id);
    if (last === undefined || check?.deregisterAfter === undefined) return false;
    const milliseconds = Number((parseDuration(check.deregisterAfter) ?? 0n) / 1_000_000n);
    return last.isCritical || (this.#known.size > 0 && performance.now() - last.at >= milliseconds);
  }

  /** Consul reads a dot as the end of a tag, and takes nothing that would have to be escaped. */
  dnsName(serviceName: string): string | undefined {
    return /^[a-z0-9_-]{1,63}$/i.test(serviceName) ? `${serviceName}.service.consul` : undefined;
  }

  lost(signal: AbortSignal): Promise<string> {
    return this.#client.lost(signal);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  /**
   * The agent overwrites and removes whatever has the ID, so it is asked right before.
   *
   * @param isWanted whether an entry without a mark says what we want there
   * @returns whether there is one. @throws ConflictError when it is not ours
   */
  async #expectOwn(id: string, signal: AbortSignal, isWanted?: (found: AgentService) => boolean): Promise<boolean> {
    const found = await this.#look(id, signal);
    if (found === undefined) return false;
    const mark = markIn(found.Meta ?? {});
    const held = { id, address: found.Address, mark, isWanted: isWanted?.(found) ?? false };
    if (ownership(this.#owner, held) !== 'own') throw new ConflictError(`The ID ${id} in Consul`, holderOf(held));
    return true;
  }

  async #look(id: string, signal: AbortSignal): Promise<AgentService | undefined> {
    try {
      const path = `/v1/agent/service/${encodeURIComponent(id)}`;
      return checked(AGENT_SERVICE, (await this.#client.get<unknown>(path, { signal })).data, NO_CONSUL);
    } catch (error) {
      if (!(error instanceof HttpStatusError)) throw error;
      if (error.status === 404) return undefined;
      throw refusal(error, `service:read for the service of the ID "${id}"`);
    }
  }

  /** What others attached to the service stays. */
  async #dropOldCheck(service: Service, signal: AbortSignal): Promise<void> {
    if (service.check !== undefined && !this.#checkless.has(service.id)) this.#checked.add(service.id);
    else if (this.#checked.has(service.id)) {
      await this.#put(`/v1/agent/check/deregister/${encodeURIComponent(checkId(service.id))}`, signal, {
        needs: `service:write for "${service.name}"`,
      }).catch((error: unknown) => {
        if (!isUnknown(error)) throw error;
      });
      this.#checked.delete(service.id);
    }
  }

  async #maintain(service: Service, signal: AbortSignal): Promise<void> {
    const wanted = !reportsHealth(service) && service.health?.status === 'critical';
    if (wanted === this.#maintenance.has(service.id)) return;
    const reason = await this.#maintenanceReason(service.id, signal);
    const isLeft = wanted ? reason !== undefined : reason !== PAUSED.output;
    if (!isLeft)
      await this.#put(`/v1/agent/service/maintenance/${encodeURIComponent(service.id)}`, signal, {
        params: { enable: String(wanted), ...(wanted ? { reason: PAUSED.output } : {}) },
        needs: `service:write for "${service.name}"`,
      });
    if (wanted) this.#maintenance.add(service.id);
    else this.#maintenance.delete(service.id);
  }

  /** Why the service is in maintenance mode now; undefined where it is not. */
  async #maintenanceReason(id: string, signal: AbortSignal): Promise<string | undefined> {
    const { data } = await this.#client.get<unknown>('/v1/agent/checks', { signal });
    return checked(AGENT_CHECKS, data, NO_CONSUL)[maintenanceId(id)]?.Notes;
  }

  async #put(
    path: string,
    signal: AbortSignal,
    request: { readonly data?: unknown; readonly params?: Readonly<Record<string, string>>; readonly needs: string },
  ): Promise<void> {
    const { needs, ...sent } = request;
    await this.#client.request({ method: 'PUT', url: path, ...sent, signal }).catch((error: unknown) => {
      throw refusal(error, needs);
    });
  }

  #tellOnce(service: Service, reason: string): void {
    const { containerId, containerName: container } = service.origin;
    const fields = { registry: this.name, container, service: service.name };
    const cause = `${this.name} ${service.id} ${reason}`;
    problemsOf(this.#log).tell({ about: containerId, cause, level: 'warn', fields, message: reason });
  }
}

/**
 * Whether an entry of this ID could be removed: the ID ends the path of that call. Consul's server tidies paths before it
 * reads them, and refuses those with characters that Go's unicode.IsPrint does not count as printable.
 */
function isPath(id: string): boolean {
  return (
    id.split('/').every((part) => !['', '.', '..'].includes(part)) && !/[\p{C}\p{Z}]/u.test(id.replaceAll(' ', ''))
  );
}

const UNKNOWN_TOKEN = 'Consul does not know the token: set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to a valid one.';

/** A 4xx is about this service, and stays so until somebody changes something; anything else may pass. */
function refusal(error: unknown, needs: string): unknown {
  if (!(error instanceof HttpStatusError)) return error;
  if (error.status === 403) {
    return new ForbiddenError(
      `Consul says «${words(error)}»: the token lacks ${needs}. Set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to one that has it.`,
    );
  }
  // 404: the agent lost the service since it was read. 408 and 429: it is busy. Neither is the service's fault.
  if ([404, 408, 429].includes(error.status)) return error;
  return error.status < 500 || /scripts are disabled/i.test(error.message)
    ? new RefusedError(`Consul says «${words(error)}».`)
    : error;
}

const words = (error: HttpStatusError) =>
  String(error.data ?? '')
    .trim()
    .slice(0, 300) || `HTTP ${error.status}`;

/** Consul 1.8 answers 200 for an ID that it does not know, later ones 404, some 500 with these words. */
function isUnknown(error: unknown): boolean {
  return error instanceof Error && /unknown (service|check)/i.test(error.message);
}

/** What Consul calls the check that a service is registered with. */
const checkId = (serviceId: string) => `service:${serviceId}`;
const maintenanceId = (serviceId: string) => `_service_maintenance:${serviceId}`;

const SERVICES = '/v1/agent/services';

const DOCKER_CHECK = "Docker's health of the container";

/** Docker's health goes to Consul as a TTL check's state; without such a check only maintenance mode can show it. */
const reportsHealth = (service: Service) => service.check?.type === 'docker';

/** What the agent gives back of a service that is registered so. */
function agentService(service: Service, meta: Readonly<Record<string, string>>): AgentService {
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: meta,
    Port: service.port,
    Address: service.address,
    EnableTagOverride: service.enableTagOverride ?? false,
  };
}

function content({ Service, Address, Port, Tags, Meta, EnableTagOverride = false }: AgentService): string {
  const pairs = Object.entries(Meta ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  // With EnableTagOverride others may change the tags, and that is no difference to mend.
  return JSON.stringify([Service, Address, Port, EnableTagOverride ? null : (Tags ?? []), pairs, EnableTagOverride]);
}

/** The content without what only registrator adds to it. */
const says = (service: AgentService) => content({ ...service, Meta: withoutMark(service.Meta ?? {}) });

function registration(service: Service, meta: Readonly<Record<string, string>>): Record<string, unknown> {
  return compact({
    ID: service.id,
    Name: service.name,
    ...(service.tags.length === 0 ? {} : { Tags: service.tags }),
    Port: service.port,
    Address: service.address,
    Meta: meta,
    Check: service.check === undefined ? null : checkDefinition(service.check, service.health),
    Weights: service.weight === undefined ? undefined : { Passing: service.weight, Warning: 1 },
    ...(service.enableTagOverride ? { EnableTagOverride: true } : {}),
  });
}

/** A check in the field names of Consul's `/v1/agent/check/register`. */
function checkDefinition(check: Check, health: Health | undefined): Record<string, unknown> {
  return compact({
    ...kindOfCheck(check),
    Interval: check.interval,
    Timeout: check.timeout,
    ...(check.tlsSkipVerify ? { TLSSkipVerify: true } : {}),
    Status: check.initialStatus ?? (check.type === 'docker' ? health?.status : undefined),
    DeregisterCriticalServiceAfter: check.deregisterAfter,
  });
}

function kindOfCheck(check: Check): Record<string, unknown> {
  switch (check.type) {
    case 'http':
      return compact({ HTTP: check.url, Method: check.method, Header: check.headers });
    case 'tcp':
      return { TCP: check.target };
    case 'grpc':
      return { GRPC: check.target, ...(check.useTls ? { GRPCUseTLS: true } : {}) };
    case 'script':
      return { Args: check.args };
    case 'ttl':
      return { TTL: check.ttl };
    case 'docker':
      return { Name: DOCKER_CHECK, TTL: check.ttl };
  }
}

type Meta = Readonly<Record<string, string>>;

/** The key of a fingerprint of what the agent does not give back. */
const CHECK_MARK = 'registrator-check';

/** Consul's limits on service metadata (its agent/structs: ValidateMetadata). */
const META_PAIRS = 64;
const META_KEY = /^[a-zA-Z0-9_-]{1,128}$/;
const META_VALUE_BYTES = 512;

/** The service's metadata as Consul takes it, with the owner mark, and sentences on what it would refuse. */
function consulMeta(service: Service, owner: Owner): { meta: Record<string, string>; dropped: string[] } {
  const mark: Record<string, string> = ownerMark(owner);
  // What the agent does not give back is compared by this.
  const hidden = [lasting(service.check), service.weight].filter((part) => part !== undefined);
  if (hidden.length > 0) mark[CHECK_MARK] = fingerprint(hidden);
  const meta: Record<string, string> = {};
  const dropped: string[] = [];
  let room = META_PAIRS - Object.keys(mark).length;
  for (const [key, value] of Object.entries(service.meta)) {
    const fault = metaFault(key, value) ?? (room === 0 ? `is beyond Consul's ${META_PAIRS} pairs` : undefined);
    if (fault === undefined) {
      meta[key] = value;
      room -= 1;
    } else {
      dropped.push(
        `Container ${service.origin.containerName}: the label SERVICE_${key.toUpperCase()} ${fault}; the service is registered without it.`,
      );
    }
  }
  return { meta: Object.assign(meta, mark), dropped };
}

/** What a check is beyond its first moment: a service that comes back begins in another state. */
function lasting(check: Check | undefined): Check | undefined {
  if (check?.initialStatus === undefined) return check;
  const { initialStatus: _, ...rest } = check;
  return rest;
}

/** In the mark of a check that the agent refused, before the fingerprint. */
const REFUSED = 'refused ';

/** As it would be with its check. */
function withoutRefusal(meta: Meta): Meta {
  const mark = meta[CHECK_MARK];
  return mark?.startsWith(REFUSED) ? { ...meta, [CHECK_MARK]: mark.slice(REFUSED.length) } : meta;
}

function metaFault(key: string, value: string): string | undefined {
  if (!META_KEY.test(key)) return 'has characters in its name that Consul does not take in metadata';
  if (key.startsWith('consul-')) return 'has a name that Consul keeps for itself';
  if (Buffer.byteLength(value) > META_VALUE_BYTES)
    return `has a value of over ${META_VALUE_BYTES} bytes, more than Consul takes`;
  return undefined;
}

const fingerprint = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
