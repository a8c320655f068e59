import { createHash } from 'node:crypto';
import { unlessAborted } from '../lib/unless-aborted.ts';
import type { Health, HealthStatus, Service } from '../services/index.ts';
import { type CheckState, checkId, checksOf, restate, worst } from './checks/state.ts';
import { contentOf } from './content.ts';

/** The one node of the catalogue: this host. */
export interface Node {
  /** A UUID that stays the same for a name. */
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly datacenter: string;
  /** Of when it got its address: the catalogue's first index, most often. */
  readonly index: number;
}

/** A registered service. Never changed in place: a change makes a new one. */
export interface Instance {
  readonly service: Service;
  readonly checks: readonly CheckState[];
  /** The worst of its checks; passing where it has none. */
  readonly status: HealthStatus;
  readonly createIndex: number;
  readonly modifyIndex: number;
  /** Docker has not confirmed it since the start: it is what the snapshot file says. */
  readonly fromSnapshot: boolean;
}

export interface Change {
  /**
   * The last two wake no watcher of the API. `output`: of a check, whose status stays. `confirmed`: as it was, but for
   * what the API does not show, its origin, and that it came from the snapshot.
   */
  readonly kind: 'registered' | 'updated' | 'deregistered' | 'health' | 'output' | 'confirmed';
  readonly index: number;
  /** As it is now; where deregistered, as it was. */
  readonly instance: Instance;
}

/** What one group of readers sees of the catalogue; each has an index of its own, so that it is woken for its own changes only. */
export type Topic = 'node' | 'services' | 'checks' | 'all' | { readonly service: string };

/** More changes than are made between two writings of the snapshot file. */
const UNSAVED_CHANGES = 100_000;

/** The catalogue's state. No I/O and no clock; whoever reads it sees every change that was made before. */
export class Store {
  /** Whether it holds all that runs here; while it does not, clients are not answered. */
  whole = true;
  #node: Node;
  readonly #instances = new Map<string, Instance>();
  /** By lower-case service name, then ID: Consul's look-ups by name do not mind case. */
  readonly #byName = new Map<string, Map<string, Instance>>();
  readonly #nameIndex = new Map<string, number>();
  readonly #withdrawn = new Map<string, Service>();
  readonly #listeners = new Set<(change: Change) => void>();
  /** Called whenever an index may be another one. */
  readonly #waiting = new Set<() => void>();
  #index: number;
  #servicesIndex: number;
  #checksIndex: number;
  /**
   * The index that a blocking query for a name without instances is given: that of the last change by which some name lost
   * its last one. One for all of them, so that nothing has to be kept for names that are gone.
   */
  #extinctIndex: number;

  /**
   * @param first the first index: the clock in milliseconds. A thousand changes a second would have to be made without a
   * pause for the indexes of the next start to be lower, and clients wait for an index to be above the one they know.
   * Above 0, which would mean "do not wait".
   */
  constructor(node: { readonly name: string; readonly address: string; readonly datacenter?: string }, first = 1) {
    const { name, address, datacenter = 'dc1' } = node;
    this.#node = { id: uuidOf(name), name, address, datacenter, index: first };
    this.#index = first;
    this.#servicesIndex = first;
    this.#checksIndex = first;
    this.#extinctIndex = first;
  }

  get node(): Node {
    return this.#node;
  }

  /**
   * Begins above the last index of an earlier life, though the clock be behind it: it was set back. For an empty store.
   */
  continueFrom(last: number): void {
    if (last < this.#index) return;
    const first = last + UNSAVED_CHANGES;
    this.#node = { ...this.#node, index: first };
    this.#index = first;
    this.#servicesIndex = first;
    this.#checksIndex = first;
    this.#extinctIndex = first;
  }

  /** The host has another address. */
  moveNode(address: string): void {
    const index = this.#bump();
    this.#node = { ...this.#node, address, index };
    // Every answer on a service has its node's address.
    for (const name of this.#nameIndex.keys()) this.#nameIndex.set(name, index);
    this.#wake();
  }

  /** Grows with each change, and never shrinks: Consul's `X-Consul-Index`. */
  get index(): number {
    return this.#index;
  }

  get size(): number {
    return this.#instances.size;
  }

  /** How many listen, or wait. */
  get listenerCount(): number {
    return this.#listeners.size + this.#waiting.size;
  }

  get(id: string): Instance | undefined {
    return this.#instances.get(id);
  }

  /** All instances, by ID. */
  all(): Instance[] {
    return [...this.#instances.values()].sort(byId);
  }

  /** The instances of a name in any case, by ID. */
  named(name: string): Instance[] {
    return [...(this.#byName.get(name.toLowerCase())?.values() ?? [])].sort(byId);
  }

  /** The lower-case names that have instances. */
  names(): string[] {
    return [...this.#byName.keys()];
  }

  indexOf(topic: Topic): number {
    if (topic === 'node') return this.#node.index;
    if (topic === 'services') return this.#servicesIndex;
    if (topic === 'checks') return this.#checksIndex;
    if (topic === 'all') return this.#index;
    return this.#nameIndex.get(topic.service.toLowerCase()) ?? this.#extinctIndex;
  }

  /** Registers, or replaces what has the ID. Equal content changes nothing but the health. */
  put(service: Service): void {
    this.#put(service, false);
  }

  /** Registers what the snapshot file says, with its check's last state; it is so until `put` or `remove`. */
  restore(service: Service, check?: { readonly status: HealthStatus; readonly output: string }): void {
    this.#put(service, true);
    if (check !== undefined && service.check?.type !== 'docker') {
      this.setCheck(service.id, check.status, check.output);
    }
  }

  #put(service: Service, fromSnapshot: boolean): void {
    this.#withdrawn.delete(service.id);
    const before = this.#instances.get(service.id);
    const same = before !== undefined && contentOf(before.service) === contentOf(service);
    const checks = checksOf(service, this.#index + 1, before);
    if (same) {
      const confirmed =
        before.fromSnapshot !== fromSnapshot ||
        JSON.stringify(before.service.origin) !== JSON.stringify(service.origin);
      const instance = this.#replace({ ...before, fromSnapshot }, service, checks);
      if (confirmed) this.#tell({ kind: 'confirmed', index: this.#index, instance });
      return;
    }
    const index = this.#bump();
    if (before !== undefined && before.service.name !== service.name) this.#removeName(before, index);
    const instance = {
      service,
      checks,
      status: worst(checks),
      createIndex: before?.createIndex ?? index,
      modifyIndex: index,
      fromSnapshot,
    };
    this.#servicesIndex = index;
    if (checks.length > 0 || (before?.checks.length ?? 0) > 0) this.#checksIndex = index;
    this.#hold(instance, index);
    this.#tell({ kind: before === undefined ? 'registered' : 'updated', index, instance });
  }

  /** @returns false where it had no such ID */
  remove(id: string): boolean {
    this.#withdrawn.delete(id);
    const instance = this.#instances.get(id);
    if (instance === undefined) return false;
    const index = this.#bump();
    this.#servicesIndex = index;
    if (instance.checks.length > 0) this.#checksIndex = index;
    this.#instances.delete(id);
    this.#removeName(instance, index);
    this.#tell({ kind: 'deregistered', index, instance });
    return true;
  }

  /** Removes a service whose check was critical for too long, though its container runs. Kept in mind until it is put or removed. */
  withdraw(id: string): void {
    const service = this.#instances.get(id)?.service;
    if (service === undefined) return;
    this.remove(id);
    this.#withdrawn.set(id, service);
  }

  /** What was withdrawn: no answer of the catalogue shows it. */
  withdrawn(): Service[] {
    return [...this.#withdrawn.values()];
  }

  /** What Docker says of a service's container; nothing where the ID is unknown. */
  setHealth(id: string, health: Health | undefined): void {
    const before = this.#instances.get(id);
    if (before === undefined) return;
    const { health: _, ...rest } = before.service;
    const service = health === undefined ? rest : { ...rest, health };
    this.#replace(before, service, checksOf(service, this.#index + 1, before));
  }

  /** The result of a service's own check; nothing where it is gone. Output beyond 4 KiB is cut, as Consul does. */
  setCheck(serviceId: string, status: HealthStatus, output: string): void {
    const before = this.#instances.get(serviceId);
    const id = checkId(serviceId);
    if (before === undefined || !before.checks.some((check) => check.id === id)) return;
    const checks = before.checks.map((check) =>
      check.id === id ? restate(check, { ...check, status, output: output.slice(0, 4096) }, this.#index + 1) : check,
    );
    this.#replace(before, before.service, checks);
  }

  /** Calls the listener at each change, in order, until the signal aborts. It must not throw. */
  listen(listener: (change: Change) => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  /** Resolves once the topic's index is above `after`, or on abort. Never rejects. */
  async wait(topic: Topic, after: number, signal: AbortSignal): Promise<void> {
    if (this.indexOf(topic) > after || signal.aborted) return;
    const done = Promise.withResolvers<void>();
    const look = () => {
      if (this.indexOf(topic) > after) done.resolve();
    };
    this.#waiting.add(look);
    await unlessAborted(done.promise, signal).catch(() => undefined);
    this.#waiting.delete(look);
  }

  /** The same service with checks that may have changed. */
  #replace(before: Instance, service: Service, checks: readonly CheckState[]): Instance {
    const changed =
      checks.length !== before.checks.length ||
      checks.some((check, i) => check.modifyIndex !== before.checks[i]?.modifyIndex);
    const instance = { ...before, service, checks, status: worst(checks) };
    if (!changed) {
      this.#hold(instance);
      const sameOutput = checks.every((check, i) => check.output === before.checks[i]?.output);
      if (!sameOutput) this.#tell({ kind: 'output', index: this.#index, instance });
      return instance;
    }
    const index = this.#bump();
    this.#checksIndex = index;
    this.#hold(instance, index);
    this.#tell({ kind: 'health', index, instance });
    return instance;
  }

  #hold(instance: Instance, nameIndex?: number): void {
    const { id, name } = instance.service;
    const key = name.toLowerCase();
    this.#instances.set(id, instance);
    let named = this.#byName.get(key);
    if (named === undefined) {
      named = new Map();
      this.#byName.set(key, named);
    }
    named.set(id, instance);
    if (nameIndex !== undefined) this.#nameIndex.set(key, nameIndex);
  }

  #removeName({ service }: Instance, index: number): void {
    const key = service.name.toLowerCase();
    const named = this.#byName.get(key);
    named?.delete(service.id);
    if (named === undefined || named.size > 0) {
      this.#nameIndex.set(key, index);
      return;
    }
    this.#byName.delete(key);
    this.#nameIndex.delete(key);
    this.#extinctIndex = index;
  }

  #bump(): number {
    this.#index += 1;
    return this.#index;
  }

  #tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
    this.#wake();
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }
}

const byId = (a: Instance, b: Instance) => (a.service.id < b.service.id ? -1 : 1);

function uuidOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex');
  // The digits that make it a UUID of version 8 (RFC 9562): free-form.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
