import { element, foreign } from './dom.js';
import { ago, differs, elapsed, endpoint, happened, healthWords, lasting, plural, shortImage } from './words.js';

/** The parts of the page but for what unfolds: a line a service, a container that is not registered, a change, a registry. */

/** How far the server's clock is ahead of ours, in milliseconds. */
let ahead = 0;
export function setClock(serverNow) {
  ahead = serverNow - Date.now();
}

const SAY = { ago, lasting };

/** A moment, relative; exact on hover. @param how `ago`, or `lasting` for how long it has been so */
export function moment(milliseconds, how = 'ago') {
  const date = new Date(milliseconds);
  const text = SAY[how](milliseconds, Date.now() + ahead);
  const made = element('time', { datetime: date.toISOString(), title: date.toLocaleString() }, text);
  made.dataset.at = milliseconds;
  made.dataset.how = how;
  return made;
}

/** Brings every moment up to date. */
export function tick() {
  for (const time of document.querySelectorAll('time')) {
    const text = SAY[time.dataset.how](Number(time.dataset.at), Date.now() + ahead);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** A mark of its own shape for each health. @param words for who does not see it; empty where they stand beside it */
export const mark = (health, words = healthWords(health)) =>
  element('span', { class: `mark ${health}`, title: words }, element('span', { class: 'unseen' }, words));

/** The line of a service, to be put in its list item. */
export function serviceLine({ name, rows, health, critical, warning, differences, conflicts }, open, viewId) {
  const [row] = rows;
  const one = rows.length === 1;
  const button = element(
    'button',
    { type: 'button', class: 'name', 'aria-expanded': open, 'aria-controls': open ? viewId : undefined },
    mark(health),
    foreign(name),
  );
  const tally = one
    ? [element('code', {}, foreign(endpoint(row)))]
    : [
        critical + warning === 0 ? plural(rows.length, 'instance') : undefined,
        critical > 0 ? element('span', { class: 'critical' }, `${critical} of ${rows.length} critical`) : undefined,
        critical > 0 && warning > 0 ? ', ' : undefined,
        warning > 0
          ? element('span', { class: 'warning' }, `${warning} ${critical > 0 ? '' : `of ${rows.length} `}in warning`)
          : undefined,
      ];
  // The sick one first: it is the one to look at.
  const first = rows.toSorted((a, b) => Number(b.health === health) - Number(a.health === health));
  const containers = [...new Set(first.map(({ container }) => container))];
  const images = [...new Set(first.map(({ image }) => shortImage(image)))];
  const latest = Math.max(...rows.map(({ since }) => since));
  return element(
    'div',
    { class: critical > 0 ? 'line sick' : 'line' },
    element('h3', {}, button),
    element('span', { class: 'where' }, tally),
    about(rows, differences, conflicts),
    element(
      'span',
      { class: 'container' },
      // Where it is called as the service is, to say so on every line is noise.
      containers.length === 1 && containers[0] === name ? undefined : foreign(containers[0]),
      containers.length > 1 ? element('span', { class: 'more' }, `+${containers.length - 1}`) : undefined,
    ),
    element(
      'span',
      { class: 'image' },
      foreign(images[0]),
      images.length > 1 ? element('span', { class: 'more' }, `+${images.length - 1}`) : undefined,
    ),
    element('span', { class: 'age' }, latest > 0 ? moment(latest) : undefined),
  );
}

/** What is wrong, where something is; else the tags. */
function about(rows, differences, conflicts) {
  const sick = rows.find(({ health }) => health === 'critical') ?? rows.find(({ health }) => health === 'warning');
  const said = sick?.checks.find(({ status }) => status === sick.health)?.output ?? '';
  if (sick !== undefined) {
    return element(
      'span',
      { class: `about ${sick.health}` },
      moment(sick.healthSince),
      ': ',
      foreign(said.split('\n', 1)[0]),
    );
  }
  const [difference] = differences;
  if (difference !== undefined) {
    const words = `${differs(conflicts > 0 ? { kind: 'conflict' } : difference)} in ${difference.registry}: ${difference.why}`;
    return element('span', { class: 'about warning' }, foreign(words));
  }
  if (rows.some(({ fromSnapshot }) => fromSnapshot))
    return element('span', { class: 'about' }, 'from before the restart');
  const tags = [...new Set(rows.flatMap((row) => row.tags))];
  return element(
    'span',
    { class: 'about tags' },
    ...tags.slice(0, 12).map((tag) => element('span', { class: 'tag' }, foreign(tag))),
  );
}

/** A container that runs and is not registered as a whole: its ports of one reason together. */
export function unregisteredItem({ container, image, ports }) {
  const byReason = Map.groupBy(ports, ({ reason }) => reason);
  const reasons = [...byReason].map(([reason, those]) => {
    const named = those.map(({ port }) => port).filter((port) => port !== '-');
    return element(
      'p',
      {},
      element('code', {}, named.join(', ')),
      named.length > 0 ? ' ' : '',
      foreign(sentence(reason)),
    );
  });
  return element(
    'li',
    { class: 'unregistered' },
    element(
      'div',
      { class: 'who' },
      element('strong', {}, foreign(container)),
      ' ',
      element('span', { class: 'quiet' }, foreign(shortImage(image))),
    ),
    element('div', { class: 'why' }, reasons),
  );
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

/** One container, one change. */
export function changeItem(change) {
  const { kind, container, services, fields, at, after } = change;
  const others = services.length > 2 ? [`, +${services.length - 2}`] : [];
  const what = services
    .slice(0, 2)
    .flatMap(({ name, address }, i) => [
      i === 0 ? '' : ', ',
      name === container ? '' : foreign(`${name} `),
      element('code', {}, foreign(address)),
    ]);
  const was = fields.map(({ field, was: before, is }) =>
    element(
      'span',
      { class: 'was' },
      `${field} `,
      element('del', {}, foreign(before || 'none')),
      ' → ',
      element('ins', {}, foreign(is || 'none')),
    ),
  );
  const health = kind in { critical: 1, warning: 1, passing: 1 } ? kind : undefined;
  return element(
    'li',
    { class: 'change' },
    element(
      'p',
      { class: 'what' },
      element(
        'span',
        {},
        element('strong', {}, foreign(container)),
        ' ',
        element('span', { class: health }, happened(change)),
      ),
      element('span', { class: 'quiet' }, moment(at)),
    ),
    element(
      'p',
      { class: 'quiet' },
      what,
      others,
      after === undefined ? '' : `, ${elapsed(after)} after it started`,
      was,
    ),
  );
}

export const changeWords = (change) =>
  [change.container, happened(change), change.after === undefined ? '' : `${elapsed(change.after)} after it started`]
    .join(' ')
    .trim();

const MARKS = { 'in step': 'passing', 'catching up': 'warning', away: 'critical' };

/** How it stands with Docker, or a registry, and since when. */
export function registryItem({ name, state, since, wanted, differences }) {
  const missing = differences.filter(({ kind }) => kind !== 'extra').length;
  const holds =
    wanted === undefined || differences.length === 0
      ? ''
      : `${wanted - Math.min(missing, wanted)} of ${wanted} as wanted`;
  return element(
    'li',
    { class: 'registry' },
    mark(MARKS[state], ''),
    element('strong', {}, foreign(name)),
    element('span', { class: 'quiet' }, `${state} for `, moment(since, 'lasting')),
    holds === '' ? undefined : element('span', { class: 'warning' }, holds),
  );
}
