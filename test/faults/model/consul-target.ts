import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Logger } from '../../../src/lib/log/index.ts';
import type { Owner, Registry } from '../../../src/registries/index.ts';
import type { ConsulServer } from '../../support/consul.ts';
import { foreignIds, type RegistryState, Remote, stampsBySlot, type Target } from './targets.ts';

interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
}

type Call = <T>(method: string, path: string, body?: unknown) => Promise<T>;

/** What an agent holds, by ID, in the words of ModelHost.expected. */
export async function agentHolds(call: Call): Promise<Map<string, string>> {
  const services = await call<Record<string, AgentService>>('GET', '/v1/agent/services');
  const checks = await call<Record<string, { ServiceID: string; Status: string }>>('GET', '/v1/agent/checks');
  const health = (id: string) => {
    const states = Object.values(checks).flatMap(({ ServiceID, Status }) => (ServiceID === id ? [Status] : []));
    return ['critical', 'warning'].find((state) => states.includes(state)) ?? 'passing';
  };
  return new Map(
    Object.values(services).map(({ ID, Service, Address, Port, Tags }) => [
      ID,
      `${Service} ${Address}:${Port} [${Tags.join('|')}] ${health(ID)}`,
    ]),
  );
}

/** A token in a file, another one again and again. */
export class TokenFile {
  readonly #consul: ConsulServer;
  readonly #folder = mkdtempSync(join(tmpdir(), 'registrator-model-'));
  #accessor: string | undefined;

  constructor(consul: ConsulServer) {
    this.#consul = consul;
  }

  get env(): Record<string, string> {
    return { CONSUL_HTTP_TOKEN_FILE: join(this.#folder, 'token') };
  }

  /** The new one is in the file before the old one is void, as secret stores do it. */
  async rotate(): Promise<void> {
    const token = await this.#consul.api<{ AccessorID: string; SecretID: string }>('PUT', '/v1/acl/token', {
      Policies: [{ Name: 'global-management' }],
    });
    writeFileSync(join(this.#folder, 'next'), token.SecretID);
    renameSync(join(this.#folder, 'next'), join(this.#folder, 'token'));
    if (this.#accessor !== undefined) await this.#consul.api('DELETE', `/v1/acl/token/${this.#accessor}`);
    this.#accessor = token.AccessorID;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** Milliseconds in which what is under way at an agent has come about. */
const SETTLES = 60;
const START = 1_000;

export class ConsulTarget extends Remote implements Target {
  readonly #consul: ConsulServer;
  readonly #token: TokenFile;
  #state: RegistryState = 'well';
  /** When, by performance.now(), registrator no longer trusts its first reading; undefined before that. */
  #settled: number | undefined;

  constructor(consul: ConsulServer, listen: number, host: string) {
    super(consul.httpPort, listen, host);
    this.#consul = consul;
    this.#token = new TokenFile(consul);
  }

  async prepare(): Promise<void> {
    await this.#token.rotate();
  }

  async open(owner: Owner, log: Logger): Promise<Registry> {
    const registry = await this.connect('consul', '', owner, log, this.#token.env);
    const registered = registry.registered.bind(registry);
    let read = false;
    this.#settled = undefined;
    registry.registered = async (signal) => {
      const entries = await registered(signal);
      if (!read) this.#settled = performance.now() + START;
      read = true;
      return entries;
    };
    return registry;
  }

  openBeside(owner: Owner, log: Logger): Promise<Registry> {
    return this.connect('consul', '', owner, log, this.#token.env, this.#consul.address);
  }

  rotateToken(): Promise<void> {
    return this.#token.rotate();
  }

  override async become(state: RegistryState): Promise<void> {
    this.#state = state;
    await super.become(state);
  }

  async empty(): Promise<void> {
    const ids = [...(await this.#held()).keys()];
    // Registrator may have removed it meanwhile.
    const unlessGone = (error: Error) => expect(error.message).toContain('Unknown service');
    await Promise.all(ids.map((id) => this.#consul.api('PUT', `/v1/agent/service/deregister/${id}`).catch(unlessGone)));
    this.proxy.cut();
  }

  /** The agent has no compare-and-set: what a bad network holds back would be carried out over it, whoever asks. */
  async putForeign(slot: number, port: number): Promise<void> {
    if (this.#state !== 'well') return;
    await this.#untilSettled();
    const id = foreignIds(this.host)[slot] ?? '';
    const Meta = slot === 1 ? { 'registrator-host': `${this.host}-2`, 'registrator-engine': 'another' } : {};
    const stays = async () => (await this.foreign()).get(slot)?.includes(`"Port":${port},`) === true;
    for (let tries = 0; tries < 5; tries++) {
      await sleep(SETTLES);
      await this.#consul.api('PUT', '/v1/agent/service/register', { ID: id, Name: 'web', Port: port, Meta });
      await sleep(SETTLES);
      if (await stays()) return;
    }
    throw new Error(`the entry ${id} of somebody else is written over again and again`);
  }

  /** Within a second after its start registrator trusts its first reading. */
  async #untilSettled(): Promise<void> {
    const end = performance.now() + 20_000;
    while ((this.#settled === undefined || performance.now() < this.#settled) && performance.now() < end)
      await sleep(20);
  }

  async removeForeign(slot: number): Promise<void> {
    await this.#consul.api('PUT', `/v1/agent/service/deregister/${foreignIds(this.host)[slot]}`);
  }

  async maintain(id: string, on: boolean): Promise<boolean> {
    const path = `/v1/agent/service/maintenance/${id}?enable=${on}&reason=operator`;
    return this.#consul.api('PUT', path).then(
      () => true,
      () => false,
    );
  }

  async maintained(): Promise<ReadonlySet<string>> {
    const checks = await this.#consul.api<Record<string, { ServiceID: string; Notes: string }>>(
      'GET',
      '/v1/agent/checks',
    );
    return new Set(Object.values(checks).flatMap(({ ServiceID, Notes }) => (Notes === 'operator' ? [ServiceID] : [])));
  }

  async own(): Promise<Map<string, string>> {
    const foreign = await this.foreign();
    const ids = foreignIds(this.host).filter((_, slot) => foreign.has(slot));
    return new Map([...(await this.#held())].filter(([id]) => !ids.includes(id)));
  }

  async foreign(): Promise<Map<number, string>> {
    const services = await this.#consul.api<Record<string, { Meta: Record<string, string> | null }>>(
      'GET',
      '/v1/agent/services',
    );
    return stampsBySlot(
      foreignIds(this.host).map((id) => {
        const found = services[id];
        const host = found?.Meta?.['registrator-host'];
        return found === undefined || (host !== undefined && host !== `${this.host}-2`)
          ? undefined
          : JSON.stringify(found);
      }),
    );
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#token.remove();
  }

  /** Of this sequence, whoever's: other sequences use the same agent. */
  async #held(): Promise<Map<string, string>> {
    const held = await agentHolds((method, path) => this.#consul.api(method, path));
    return new Map([...held].filter(([id]) => new RegExp(`(^|-)${this.host}(-|:|$)`).test(id)));
  }
}
