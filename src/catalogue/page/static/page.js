import { details, differenceList } from './details.js';
import { element, find, say } from './dom.js';
import { Model } from './model.js';
import { changeItem, changeWords, registryItem, serviceLine, setClock, tick, unregisteredItem } from './parts.js';
import { Stream } from './stream.js';
import { plural } from './words.js';

/** The page: what the server's stream says, and what the URL asks for. */

const model = new Model();
const search = find('#search');
const list = find('#list');
/** List items by service name. */
const items = new Map();
/** What is looked at: kept in the URL, so that a link can be sent. */
let view = readUrl();

/* The URL */

function readUrl() {
  const query = new URLSearchParams(location.search);
  return { q: query.get('q') ?? '', show: query.get('show') ?? '', service: query.get('service') ?? '' };
}

/** @param step whether going back comes to what was before */
function look(change, step = true) {
  view = { ...view, ...change };
  const query = new URLSearchParams(Object.entries(view).filter(([, value]) => value !== ''));
  const url = query.size === 0 ? location.pathname : `?${query}`;
  if (step) history.pushState(undefined, '', url);
  else history.replaceState(undefined, '', url);
  show();
}

addEventListener('popstate', () => {
  view = readUrl();
  search.value = view.q;
  show();
});

/* Services */

/** @param changed names of services to make anew; those whose folding changed are, in any case */
function showServices(changed = new Set()) {
  const found = model.found(view);
  const kept = new Set(found.map(({ name }) => name));
  for (const [name, item] of items) {
    if (kept.has(name)) continue;
    item.remove();
    if (!model.services.has(name)) items.delete(name);
  }
  let next = list.firstElementChild;
  for (const service of found) {
    const item = itemOf(service, changed);
    if (item === next) next = item.nextElementSibling;
    else list.insertBefore(item, next);
  }
  return found;
}

function itemOf(service, changed) {
  const { name } = service;
  const open = view.service === name;
  const known = items.get(name);
  if (known !== undefined && !changed.has(name) && known.classList.contains('open') === open) return known;
  const item = known ?? element('li', { class: 'service' });
  items.set(name, item);
  item.dataset.service = name;
  item.classList.toggle('open', open);
  item.classList.toggle(
    'fresh',
    service.rows.some(({ fresh }) => fresh),
  );
  const viewId = 'view';
  const parts = [serviceLine(service, open, viewId)];
  if (open) {
    const section = element('div', { class: 'view', id: viewId, role: 'region', 'aria-label': `Service ${name}` });
    section.append(...details(service, model.about));
    parts.push(section);
  }
  keepingPlace(item, () => item.replaceChildren(...parts));
  return item;
}

/** Whoever is at a button, or has unfolded an instance, still is and has when the item was made anew. */
function keepingPlace(item, replace) {
  const focusables = () => [...item.querySelectorAll('button, a, summary, pre')];
  const at = focusables().indexOf(document.activeElement);
  const folding = new Map([...item.querySelectorAll('details')].map(({ dataset, open }) => [dataset.id, open]));
  replace();
  for (const each of item.querySelectorAll('details')) each.open = folding.get(each.dataset.id) ?? each.open;
  if (at >= 0) focusables()[at]?.focus({ preventScroll: true });
}

function toggle(name) {
  look({ service: view.service === name ? '' : name });
}

list.addEventListener('click', (event) => {
  const line = event.target.closest('.line');
  if (line === null || event.target.closest('a') !== null) return;
  // Whoever selects text of the line does not want it to unfold.
  if (event.target.closest('button') === null && !getSelection().isCollapsed) return;
  toggle(line.parentElement.dataset.service);
});

/* Above and beside them */

const FILTERS = [
  ['critical', (count) => `${count} critical`],
  ['conflict', (count) => `${count} in conflict`],
  ['differs', (count) => `${plural(count, 'entry differs', 'entries differ')}`],
  ['warning', (count) => `${count} in warning`],
  ['', (_, { services, instances }) => `${plural(services, 'service')}, ${plural(instances, 'instance')}`],
  ['unregistered', (count) => `${count} not registered`],
];

function showSummary() {
  const summary = model.summary();
  const away = model.about.registries
    .filter(({ state }) => state !== 'in step')
    .map(({ name, state }) => `${name} is ${state}`);
  find('#well').dataset.well = summary.well;
  say('#well', summary.well && summary.instances > 0 ? 'All well' : away.join(', '));
  for (const [key, words] of FILTERS) {
    const button = find(`#filters [data-show="${key}"]`);
    button.setAttribute('aria-pressed', view.show === key);
    button.hidden = key !== '' && summary[key] === 0 && view.show !== key;
    const text = words(summary[key], summary);
    if (button.textContent !== text) button.textContent = text;
  }
  const { node } = model.about;
  const sick = summary.critical + summary.conflict;
  document.title = `${sick === 0 ? '' : `(${sick}) `}${node === '' ? '' : `${node} – `}registrator`;
  say('#node', node);
}

find('#filters').addEventListener('click', ({ target }) => {
  const { show: key } = target.closest('button')?.dataset ?? {};
  if (key !== undefined) look({ show: view.show === key ? '' : key });
});

const filled = new Map();

/** Replaces the items where what they say is another: to make them anew each time would take focus and selection. */
function fill(selector, data, make) {
  const text = JSON.stringify(data);
  if (filled.get(selector) === text) return;
  filled.set(selector, text);
  find(selector).replaceChildren(...data.map(make));
}

function showAside() {
  const { registries, recent } = model.about;
  find('#registries').hidden = registries.length === 0;
  fill('#registries ul', registries, registryItem);
  for (const part of ['#recent', '#jump']) find(part).hidden = recent.length === 0;
  fill('#recent ol', recent, changeItem);
}

function showUnregistered() {
  const found = model.unregistered(view);
  find('#unregistered').hidden = found.length === 0;
  fill('#unregistered ul', found, unregisteredItem);
  return found.length;
}

/** What a registry holds that nobody here wants: no service of the list shows it. */
function showExtra() {
  const extra = model.about.registries.flatMap(({ name, differences }) =>
    differences.filter(({ service }) => !model.services.has(service)).map((each) => ({ registry: name, ...each })),
  );
  const wanted = view.show === '' || view.show === 'differs' || view.show === 'conflict';
  find('#extra').hidden = extra.length === 0 || !wanted || view.q !== '';
  const list = differenceList(extra);
  list.classList.add('panel');
  find('#extra').replaceChildren(find('#extra h2'), list);
}

function show(changed) {
  const found = showServices(changed);
  const others = showUnregistered();
  showSummary();
  showExtra();
  const empty = model.instances === 0;
  const narrowed = view.q !== '' || view.show !== '';
  for (const part of ['#list', '#columns', '#services h2']) find(part).hidden = found.length === 0;
  find('#none').hidden = !known || !empty || narrowed;
  find('#no-match').hidden = !known || !narrowed || found.length + others > 0;
  const instances = found.reduce((sum, { rows }) => sum + rows.length, 0);
  say('#count', view.q === '' ? '' : `${plural(found.length, 'service')}, ${plural(instances, 'instance')} found`);
}

/* The stream */

let known = false;
let announcing;

function apply(message) {
  const before = known ? (model.about.recent[0]?.at ?? 0) : undefined;
  setClock(message.now);
  const changed = model.apply(message);
  const first = !known;
  known = true;
  show(changed);
  showAside();
  if (first && view.service !== '') {
    measureHead();
    items.get(view.service)?.scrollIntoView();
  }
  const [latest] = message.recent;
  if (latest === undefined || before === undefined || latest.at <= before) return;
  // One at a time, not a flood.
  clearTimeout(announcing);
  announcing = setTimeout(() => say('#news', changeWords(latest)), 500);
}

let awaySince;

function live() {
  if (document.body.dataset.state === 'live') return;
  awaySince = undefined;
  document.body.dataset.state = 'live';
  find('#retry').hidden = true;
  say('#live', 'Live');
}

function away() {
  awaySince ??= Date.now();
  document.body.dataset.state = 'away';
  find('#retry').hidden = false;
  const words = known ? 'registrator is away since ' : 'registrator does not answer since ';
  say('#live', `${words}${new Date(awaySince).toLocaleTimeString()}${known ? '; what it said last is below' : ''}`);
}

const stream = new Stream({ message: apply, live, away });
find('#retry').addEventListener('click', () => stream.retry());
setInterval(tick, 5000);

/* Keys */

search.value = view.q;
search.addEventListener('input', () => look({ q: search.value }, false));
function clear() {
  search.value = '';
  look({ q: '', show: '' });
  search.focus();
}
search.addEventListener('keydown', (event) => event.key === 'Escape' && clear());
find('#clear').addEventListener('click', clear);
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === 'Escape' && view.service !== '' && event.target !== search) {
    const { service } = view;
    toggle(service);
    items.get(service)?.querySelector('button')?.focus();
  }
  if (event.key !== '/' || event.target === search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// The list begins below the head that stays in sight.
const head = find('header');
const measureHead = () => document.documentElement.style.setProperty('--head', `${head.offsetHeight}px`);
new ResizeObserver(measureHead).observe(head);
