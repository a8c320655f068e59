/**
 * The arrows of the house (CONTRIBUTING.md, "The tree"): which room may know which. `npm run lint` holds them, types
 * included. A room is a folder of src/; lib/ has no subject of ours, and everybody may use it.
 */
const MAY_KNOW = {
  cli: ['catalogue', 'discovery', 'docker', 'ops', 'reconciler', 'registries', 'services'],
  // The parts of a catalogue's page are shown for other registries, too.
  ops: ['catalogue', 'discovery', 'docker', 'reconciler', 'registries', 'services'],
  // It fills the desired state, which is the reconciler's.
  discovery: ['docker', 'reconciler', 'services'],
  docker: [],
  reconciler: ['registries', 'services'],
  registries: ['catalogue', 'services'],
  catalogue: ['services'],
  // Docker's types only: see services-are-pure.
  services: ['docker', 'template'],
  template: [],
  lib: [],
};

const arrows = Object.entries(MAY_KNOW).map(([room, known]) => ({
  name: `${room}-knows-only-its-own`,
  severity: 'error',
  comment: `${room}/ may know ${known.concat('lib').join(', ')}`,
  from: { path: `^src/${room}/`, ...(room === 'cli' && { pathNot: '^src/cli/main\\.ts$' }) },
  to: {
    path: '^src/',
    // The command line and the library's users meet in options.ts and registrator.ts.
    pathNot: `^src/(${[room, 'lib', ...known].join('|')})/${room === 'cli' ? '|^src/(options|registrator|index)\\.ts$' : ''}`,
  },
}));

/** Folders inside of rooms that have a door of their own. */
const INNER_ROOMS = [
  'registries/kit',
  'registries/kit/conformance',
  'catalogue/page',
  'catalogue/dns/forward',
  'lib/http',
  'lib/log',
];

const innerDoors = INNER_ROOMS.map((room) => ({
  name: `front-door-of-${room.replaceAll('/', '-')}`,
  severity: 'error',
  from: { pathNot: `^src/${room}/` },
  // A type alone, for those that serve HTTP: the door brings the client.
  to: { path: `^src/${room}/`, pathNot: ['/index\\.ts$', '^src/lib/http/route\\.ts$'] },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Two files that need each other are one, or need a third',
      from: {},
      to: { circular: true },
    },
    {
      name: 'front-doors-only',
      severity: 'error',
      comment: "A folder's index.ts is the only way in; lib/ has a door for each thing",
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/[^/]+/', pathNot: ['^src/$1/', '^src/lib/', '/index\\.ts$'] },
    },
    {
      name: 'front-doors-only-from-the-root',
      severity: 'error',
      from: { path: '^src/[^/]+\\.ts$' },
      to: { path: '^src/[^/]+/', pathNot: ['^src/lib/', '/index\\.ts$'] },
    },
    ...innerDoors,
    {
      name: 'services-are-pure',
      severity: 'error',
      comment: 'What a container means is decided without I/O, clock or log, so that a test needs a snapshot alone',
      from: { path: '^src/(services|template)/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?net$' },
    },
    {
      name: 'services-know-docker-by-type',
      severity: 'error',
      from: { path: '^src/services/' },
      to: { path: '^src/docker/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'services-log-nothing',
      severity: 'error',
      from: { path: '^src/(services|template)/' },
      to: { path: '^src/lib/(log|http|work-queue)|node_modules/(pino|axios|undici|dockerode)/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.d.ts'] },
  },
};
