/** The page: what the server's event stream says, shown. Every text of it is set as text, never as markup. */

const find = (selector) => document.querySelector(selector);
const table = find('table');
const search = find('#search');

/** Instances by key, and the table's groups by service name. */
const rows = new Map();
const groups = new Map();
let state = { node: '', recent: [], registries: [] };
/** How far the server's clock is ahead of ours, in milliseconds. */
let ahead = 0;

/** An element with properties and children; text becomes text nodes. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'class') made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Text of others may run from right to left: it must not turn what stands beside it.
const foreign = (text, kind = '') => element('bdi', kind === '' ? {} : { class: kind }, text);

/* Words */

const HEALTH = { none: 'no check', elsewhere: 'by the registry' };

function address({ address: host, port, protocol }) {
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return protocol === 'tcp' ? at : `${at}/${protocol}`;
}

function ago(milliseconds) {
  const seconds = Math.max(0, Math.round((Date.now() + ahead - milliseconds) / 1000));
  if (seconds < 3) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

function since(milliseconds) {
  const moment = new Date(milliseconds);
  const made = element('time', { datetime: moment.toISOString(), title: moment.toLocaleString() }, ago(milliseconds));
  made.dataset.at = milliseconds;
  return made;
}

const elapsed = (milliseconds) =>
  milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
const plural = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;

const KINDS = { passing: 'is passing', warning: 'is in warning', critical: 'is critical' };
const happened = ({ kind }) => KINDS[kind] ?? kind;
const howSoon = ({ after }) => (after === undefined ? '' : `${elapsed(after)} after it started`);

/* The table */

// Where the style makes cards of rows, some browsers would no longer call them a table.
for (const [selector, role] of [
  ['table', 'table'],
  ['thead', 'rowgroup'],
  ['thead tr', 'row'],
  ['thead th', 'columnheader'],
]) {
  for (const part of document.querySelectorAll(selector)) part.setAttribute('role', role);
}

function instance(row) {
  const { container, containerId, health, output, tags, image, fromSnapshot } = row;
  const about = [element('span', { class: `health ${health}` }, HEALTH[health] ?? health)];
  if (output !== '') about.push(element('span', { class: 'output', title: output }, foreign(output)));
  if (fromSnapshot) about.push(element('span', { class: 'output' }, 'from before the restart'));
  const marks =
    tags.length === 0 ? [] : [element('ul', { class: 'tags' }, ...tags.map((tag) => element('li', {}, foreign(tag))))];
  const cell = (label, ...children) =>
    element(
      'td',
      { role: 'cell', 'data-label': label },
      ...(children.length > 1 ? [element('div', {}, ...children)] : children),
    );
  const made = element(
    'tr',
    { role: 'row' },
    element(
      'th',
      { role: 'rowheader', scope: 'row' },
      foreign(container, 'clip'),
      element('span', { class: 'id' }, containerId),
    ),
    cell('Health', ...about),
    cell('Address', element('code', { class: 'number' }, foreign(address(row)))),
    cell('Tags', ...marks),
    cell('Image', foreign(image, 'clip')),
    cell('Started', ...(row.since > 0 ? [since(row.since)] : [])),
  );
  if (row.fresh) made.className = 'fresh';
  return made;
}

/** How many instances a service has, and how many of them are not well: `3 instances, 1 critical`. */
function tally(instances) {
  const parts = ['critical', 'warning'].flatMap((health) => {
    const count = instances.filter((row) => row.health === health).length;
    return count === 0 ? [] : [', ', element('span', { class: health }, `${count} ${health}`)];
  });
  return element('span', { class: 'tally' }, plural(instances.length, 'instance'), ...parts);
}

function heading(name, instances) {
  const shown = element('div', { class: 'group' }, element('strong', {}, foreign(name)));
  if (state.domain !== undefined && isName(name)) shown.append(element('code', {}, `${name}.service.${state.domain}`));
  shown.append(tally(instances));
  return element(
    'tr',
    { role: 'row' },
    element('th', { role: 'rowheader', scope: 'rowgroup', colspan: 6, 'aria-colspan': 6 }, shown),
  );
}

const isName = (name) => /^[a-z0-9_-]{1,63}$/i.test(name);
const compare = new Intl.Collator('en', { numeric: true }).compare;
const inOrder = (a, b) => compare(a.container, b.container) || a.port - b.port || (a.key < b.key ? -1 : 1);

function showService(name) {
  const instances = [...(groups.get(name)?.instances.values() ?? [])].sort(inOrder);
  const group = groups.get(name);
  if (group === undefined) return;
  if (instances.length === 0) {
    group.body?.remove();
    groups.delete(name);
    return;
  }
  if (group.body === undefined) {
    group.body = element('tbody', { role: 'rowgroup' });
    const names = [...groups.keys()].filter((other) => groups.get(other).body?.isConnected).sort(compare);
    const next = names.find((other) => compare(other, name) > 0);
    table.insertBefore(group.body, next === undefined ? null : groups.get(next).body);
  }
  group.lines = instances.map((row) => ({ words: words(row), line: instance(row) }));
  group.body.replaceChildren(heading(name, instances), ...group.lines.map(({ line }) => line));
}

/* Search */

const words = (row) =>
  [row.service, row.container, row.containerId, row.image, address(row), ...row.tags, HEALTH[row.health] ?? row.health]
    .join('\n')
    .toLowerCase();

function filter() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let services = 0;
  let shown = 0;
  for (const { body, lines } of groups.values()) {
    let any = false;
    for (const { words: own, line } of lines) {
      line.hidden = !wanted.every((word) => own.includes(word));
      if (line.hidden) continue;
      any = true;
      shown += 1;
    }
    body.hidden = !any;
    if (any) services += 1;
  }
  const all = rows.size;
  table.hidden = shown === 0;
  find('.tools').hidden = all === 0;
  find('#none').hidden = all > 0;
  find('#no-match').hidden = all === 0 || shown > 0;
  const text =
    wanted.length === 0
      ? `${plural(services, 'service')}, ${plural(all, 'instance')}`
      : `${shown} of ${plural(all, 'instance')}`;
  say('#count', all === 0 ? '' : text);
}

/** Sets a text that is read out, only where it is another. */
function say(selector, text) {
  const at = find(selector);
  if (at.textContent !== text) at.textContent = text;
}

/* The strips above */

function showRecent() {
  find('#recent').hidden = state.recent.length === 0;
  const items = state.recent.slice(0, 4).map((change) => {
    const soon = howSoon(change);
    const when = element('span', { class: 'quiet' }, since(change.at), soon === '' ? '' : `, ${soon}`);
    const what = element('span', {}, element('strong', {}, foreign(change.container)), ` ${happened(change)}`);
    return element('li', {}, what, when);
  });
  find('#recent ol').replaceChildren(...items);
}

function showRegistries() {
  find('#registries').hidden = state.registries.length === 0;
  const marks = { 'in sync': 'passing', 'catching up': 'warning', away: 'critical' };
  const items = state.registries.map(({ name, state: how }) =>
    element('li', {}, element('code', {}, foreign(name)), element('span', { class: `health ${marks[how]}` }, how)),
  );
  find('#registries ul').replaceChildren(...items);
}

/** The latest change in words, for who does not see the strip; one at a time, not a flood. */
let announcing;
function announce(before) {
  const [latest] = state.recent;
  if (latest === undefined || before === undefined || latest.at <= before) return;
  clearTimeout(announcing);
  announcing = setTimeout(
    () => say('#news', [latest.container, happened(latest), howSoon(latest)].join(' ').trim()),
    500,
  );
}

/* The stream */

function apply(message) {
  const touched = new Set();
  if (message.all) {
    for (const { service } of rows.values()) touched.add(service);
    rows.clear();
    for (const group of groups.values()) group.instances.clear();
  }
  const forget = (key) => {
    const old = rows.get(key);
    if (old === undefined) return false;
    rows.delete(key);
    groups.get(old.service)?.instances.delete(key);
    touched.add(old.service);
    return true;
  };
  for (const key of message.gone) forget(key);
  for (const row of message.rows) {
    const known = forget(row.key);
    const kept = { ...row, fresh: !known && !message.all };
    rows.set(row.key, kept);
    if (!groups.has(row.service)) groups.set(row.service, { instances: new Map(), lines: [] });
    groups.get(row.service).instances.set(row.key, kept);
    touched.add(row.service);
  }
  const before = message.all ? undefined : (state.recent[0]?.at ?? 0);
  state = message;
  ahead = message.now - Date.now();
  for (const name of touched) showService(name);
  say('#node', state.node === '' ? '' : `on ${state.node}`);
  document.title = state.node === '' ? 'registrator' : `${state.node} – registrator`;
  showRegistries();
  showRecent();
  announce(before);
  filter();
}

function live(how, text) {
  find('#live').dataset.state = how;
  say('#live', text);
}

const events = new EventSource('events');
events.addEventListener('open', () => live('live', 'Live'));
events.addEventListener('error', () => live('away', 'Not connected, trying again'));
events.addEventListener('message', ({ data }) => apply(JSON.parse(data)));

setInterval(() => {
  for (const time of document.querySelectorAll('time')) time.textContent = ago(Number(time.dataset.at));
}, 5000);

/* Keys */

function clear() {
  search.value = '';
  filter();
  search.focus();
}
search.addEventListener('input', filter);
search.addEventListener('keydown', (event) => event.key === 'Escape' && clear());
find('#clear').addEventListener('click', clear);
document.addEventListener('keydown', (event) => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target === search) return;
  event.preventDefault();
  search.focus();
});
