import { endpoint, healthWords } from './words.js';

/** What the server said, put together. No document here. */

/** The worst first: what somebody on call looks for. */
const RANK = { critical: 0, conflict: 1, differs: 2, warning: 3 };
export const compare = new Intl.Collator('en', { numeric: true }).compare;
const inOrder = (a, b) => compare(a.container, b.container) || a.port - b.port || (a.key < b.key ? -1 : 1);

export class Model {
  /** Of the last message: node, dns, recent, registries, unregistered, now. */
  about = { node: '', recent: [], registries: [], unregistered: [] };
  /** Services by name: `{ name, rows, differences, state, words }`. */
  services = new Map();
  #rows = new Map();
  #differences = new Map();
  #differencesText = '';
  #sorted;
  /** Containers of which nothing is registered: of the others, the views of their services say it. */
  #unregistered = [];

  get instances() {
    return this.#rows.size;
  }

  /** @returns the names of the services that changed */
  apply(message) {
    const touched = new Set();
    const rows = new Map();
    const drop = (key) => {
      const old = this.#rows.get(key);
      if (old === undefined) return false;
      this.#rows.delete(key);
      touched.add(old.service);
      return true;
    };
    const known = new Set(message.all ? this.#rows.keys() : []);
    for (const row of message.rows) {
      known.delete(row.key);
      const old = this.#rows.get(row.key);
      if (message.all && old !== undefined && JSON.stringify({ ...old, fresh: undefined }) === JSON.stringify(row))
        continue;
      drop(row.key);
      rows.set(row.key, { ...row, fresh: old === undefined && !message.all });
      touched.add(row.service);
    }
    for (const key of [...message.gone, ...known]) drop(key);
    for (const [key, row] of rows) this.#rows.set(key, row);
    this.about = message;
    for (const name of this.#setDifferences(message.registries)) touched.add(name);
    this.#regroup(touched);
    const registered = new Set([...this.#rows.values()].map(({ containerId }) => containerId));
    this.#unregistered = message.unregistered.filter(({ containerId }) => !registered.has(containerId));
    return touched;
  }

  #setDifferences(registries) {
    const all = registries.flatMap(({ name, differences }) => differences.map((each) => ({ registry: name, ...each })));
    const text = JSON.stringify(all);
    if (text === this.#differencesText) return [];
    this.#differencesText = text;
    const before = this.#differences;
    this.#differences = new Map();
    for (const each of all) {
      const known = this.#differences.get(each.service);
      if (known === undefined) this.#differences.set(each.service, [each]);
      else known.push(each);
    }
    return [...before.keys(), ...this.#differences.keys()];
  }

  #regroup(names) {
    this.#sorted = undefined;
    const rows = new Map([...names].map((name) => [name, []]));
    for (const row of this.#rows.values()) rows.get(row.service)?.push(row);
    for (const [name, own] of rows) {
      if (own.length === 0) this.services.delete(name);
      else this.services.set(name, service(name, own.sort(inOrder), this.#differences.get(name) ?? []));
    }
  }

  /** What a person wants to know in two seconds. */
  summary() {
    const counts = { services: this.services.size, instances: this.#rows.size, critical: 0, warning: 0, conflict: 0 };
    for (const { health } of this.#rows.values()) if (health in counts) counts[health] += 1;
    const { registries } = this.about;
    const differences = registries.flatMap((registry) => registry.differences);
    counts.conflict = differences.filter(({ kind }) => kind === 'conflict').length;
    counts.differs = differences.length - counts.conflict;
    counts.unregistered = this.#unregistered.length;
    const inStep = registries.every(({ state }) => state === 'in step');
    return { ...counts, well: counts.critical + counts.warning + differences.length === 0 && inStep };
  }

  /** All services, the worst first. To sort thousands takes longer than all the rest of a key in the search. */
  get sorted() {
    this.#sorted ??= [...this.services.values()].sort((a, b) => rank(a) - rank(b) || compare(a.name, b.name));
    return this.#sorted;
  }

  /** Those that the search and the filter leave. */
  found({ q, show }) {
    const wanted = searchWords(q);
    return this.sorted.filter((each) => passes(each, show) && wanted.every((word) => each.words.includes(word)));
  }

  unregistered({ q, show }) {
    if (show !== '' && show !== 'unregistered') return [];
    const wanted = searchWords(q);
    return this.#unregistered.filter(({ container, containerId, image, ports }) => {
      const text = [container, containerId, image, ...ports.flatMap(({ port, reason }) => [port, reason])];
      return wanted.every((word) => text.join('\n').toLowerCase().includes(word));
    });
  }
}

export const searchWords = (q) => q.toLowerCase().split(/\s+/).filter(Boolean);

function service(name, rows, differences) {
  const count = (health) => rows.filter((row) => row.health === health).length;
  const states = ['critical', 'warning'].filter((health) => count(health) > 0);
  return {
    name,
    rows,
    differences,
    critical: count('critical'),
    warning: count('warning'),
    conflicts: differences.filter(({ kind }) => kind === 'conflict').length,
    health: states[0] ?? (rows.some(({ health }) => health === 'passing') ? 'passing' : rows[0].health),
    words: rows.map(words).join('\n').toLowerCase(),
  };
}

function rank({ critical, warning, conflicts, differences }) {
  if (critical > 0) return RANK.critical;
  if (conflicts > 0) return RANK.conflict;
  if (differences.length > 0) return RANK.differs;
  return warning > 0 ? RANK.warning : 4;
}

function passes({ critical, warning, conflicts, differences }, show) {
  if (show === 'critical') return critical > 0;
  if (show === 'warning') return warning > 0;
  if (show === 'conflict') return conflicts > 0;
  if (show === 'differs') return differences.length > conflicts;
  return show !== 'unregistered';
}

const words = (row) =>
  [
    row.service,
    row.container,
    row.containerId,
    row.image,
    endpoint(row),
    ...row.tags,
    ...Object.entries(row.meta).map((pair) => pair.join('=')),
    ...row.networks,
    healthWords(row.health),
  ].join('\n');
