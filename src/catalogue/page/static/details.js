import { copyButton, element, foreign } from './dom.js';
import { mark, moment } from './parts.js';
import { differs, dnsNames, endpoint, healthWords, webAddress } from './words.js';

/** What a service unfolds to: its names, its instances, and where each field comes from. */

/** @param about the node, its DNS, and whether the page is the embedded catalogue's */
export function details(service, about) {
  const { rows, differences } = service;
  // Of several, the one to look at is open from the start.
  const sick = rows.find(({ health }) => health === 'critical');
  const instances =
    rows.length === 1 ? [instance(rows[0], about)] : rows.map((row) => folded(row, row === sick, about));
  return [
    names(service, about),
    differences.length === 0
      ? undefined
      : element('section', {}, element('h4', {}, 'What differs'), differenceList(differences)),
    element('section', {}, element('h4', {}, rows.length === 1 ? 'Instance' : 'Instances'), ...instances),
  ].filter((part) => part !== undefined);
}

/** Names to use, and lines for a terminal. */
function names(service, about) {
  const { names: resolved, srv, why } = dnsNames(service, about);
  const lines = [
    ...resolved.map((name) => copied(name, 'name')),
    ...(srv === undefined ? [] : [copied(srv, 'SRV name', 'SRV')]),
    ...(resolved.length === 0 ? [] : [copied(`dig @${host()} -p ${about.dns.port} ${resolved[0]} SRV`, 'dig line')]),
    ...(about.catalogue
      ? [copied(`curl -s '${location.origin}/v1/health/service/${encodeURIComponent(service.name)}'`, 'curl line')]
      : []),
  ];
  return element(
    'section',
    {},
    element('h4', {}, 'Names'),
    why === '' ? undefined : element('p', { class: resolved.length === 0 ? 'why' : 'why quiet' }, foreign(why)),
    element('ul', { class: 'lines' }, ...lines.map((line) => element('li', { class: 'copied' }, line))),
  );
}

/** The DNS server is bound where the page is. */
const host = () => location.hostname.replace(/^\[|\]$/g, '');

const copied = (text, what, note) => [
  element('code', {}, foreign(text)),
  note === undefined ? undefined : element('span', { class: 'quiet' }, note),
  copyButton(text, `${what} ${text}`),
];

export const differenceList = (differences) =>
  element(
    'ul',
    { class: 'differences' },
    ...differences.map((each) =>
      element(
        'li',
        { class: 'difference' },
        element('p', {}, element('code', {}, foreign(each.id)), ` ${differs(each)} in `, foreign(each.registry)),
        element(
          'p',
          { class: 'quiet' },
          each.wanted === undefined ? 'not wanted' : ['wanted ', element('code', {}, foreign(each.wanted))],
          each.there === undefined ? ', nothing there' : [', there ', element('code', {}, foreign(each.there))],
        ),
        element('p', {}, foreign(each.why)),
      ),
    ),
  );

/** One of several: a line that unfolds. */
function folded(row, unfolded, about) {
  const made = element(
    'details',
    { class: 'instance', 'data-id': row.key },
    element(
      'summary',
      {},
      mark(row.health, row.health === 'none' ? undefined : ''),
      element('code', {}, foreign(endpoint(row))),
      foreign(row.container),
      element('span', { class: 'quiet' }, row.health === 'none' ? '' : healthWords(row.health)),
    ),
  );
  // Hundreds of instances: each is made when somebody looks at it.
  made.addEventListener('toggle', () => made.open && made.childElementCount === 1 && made.append(instance(row, about)));
  made.open = unfolded;
  return made;
}

function instance(row, { unregistered }) {
  const { sources } = row;
  const others = unregistered.find(({ containerId }) => containerId === row.containerId)?.ports ?? [];
  const at = endpoint(row);
  const web = webAddress(row);
  const link =
    web === undefined
      ? foreign(at)
      : element('a', { href: web, target: '_blank', rel: 'noopener noreferrer' }, foreign(at));
  const addressFrom = [sources.address, sources.port].filter(Boolean).join(', ');
  const fields = [
    ['Address', [element('code', {}, link), copyButton(at, `address ${at}`)], addressFrom],
    ...(web === undefined ? [] : [['Try it', copied(`curl -i '${web}'`, 'curl line')]]),
    [
      'Health',
      [
        mark(row.health, ''),
        healthWords(row.health),
        ' ',
        row.health === 'elsewhere' || row.health === 'none'
          ? undefined
          : element('span', { class: 'quiet' }, 'for ', moment(row.healthSince, 'lasting')),
      ],
    ],
    ...row.checks.map((check) => ['Check', checkParts(check), sources.check]),
    ...(row.unready === undefined ? [] : [['Ready', [row.unready]]]),
    [
      'Container',
      [
        foreign(row.container),
        ' ',
        element('code', { class: 'quiet' }, row.containerId),
        copyButton(row.container, `container name ${row.container}`),
        ...(row.since > 0 ? [element('span', { class: 'quiet' }, 'started ', moment(row.since))] : []),
      ],
    ],
    ['Image', [foreign(row.image), copyButton(row.image, `image ${row.image}`)]],
    ...(row.networks.length === 0 ? [] : [['Network', [foreign(row.networks.join(', '))]]]),
    ['Port', [`${row.exposedPort}/${row.protocol} in the container`]],
    ['Name', [foreign(row.service)], sources.name],
    ['ID', [element('code', {}, foreign(row.id)), copyButton(row.id, `ID ${row.id}`)], sources.id],
    ...(row.tags.length === 0
      ? []
      : [
          [
            'Tags',
            [
              element(
                'span',
                { class: 'tags all' },
                ...row.tags.map((tag) => element('span', { class: 'tag' }, foreign(tag))),
              ),
            ],
            sources.tags,
          ],
        ]),
    ...Object.entries(row.meta).map(([key, value]) => [
      ['Meta ', foreign(key)],
      [foreign(value)],
      sources[`meta.${key}`],
    ]),
    ...others.map(({ port, reason }) => [port, [foreign(reason)], 'not registered']),
    ...(row.fromSnapshot ? [['Seen', ['Before the restart; Docker has not confirmed it yet.']]] : []),
  ];
  return element('dl', { class: 'fields' }, ...fields.map(field));
}

const field = ([term, value, from]) =>
  element(
    'div',
    {},
    element('dt', {}, ...[term].flat()),
    element(
      'dd',
      {},
      ...value,
      from ? element('span', { class: 'from', title: 'Where it comes from' }, foreign(from)) : undefined,
    ),
  );

function checkParts({ what, interval, status, output }) {
  return [
    element('code', {}, foreign(what)),
    element('span', { class: 'quiet' }, [interval === undefined ? '' : ` every ${interval}`]),
    output === '' ? undefined : element('pre', { class: status, tabindex: '0' }, output),
  ];
}
