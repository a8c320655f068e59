import { isIP } from 'node:net';
import { Command, InvalidArgumentError, Option, type OptionValues } from 'commander';
import type { CatalogueSettings } from '../catalogue/index.ts';
import { compact } from '../lib/compact.ts';
import { type HostPort, parseHostPort } from '../lib/host-port.ts';
import { readIpAddress } from '../lib/ip-address.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../lib/log/index.ts';

import { DEFAULTS, type Options } from '../options.ts';
import { SCHEMES } from '../registries/index.ts';
import { parseTagTemplate, TemplateSyntaxError } from '../services/index.ts';
import { parseUpstreams } from './upstreams.ts';

/** What was typed is wrong. `message` is one sentence; nothing was started. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const DAYS = 24 * 60 * 60;

/** The command line: flags, help and their values' forms. What goes with what is checked in `toOptions`. */
export function createProgram(version: string): Command {
  const program = new Command('registrator')
    .description('Watches a Docker host and keeps a service registry true to it.')
    .usage('[options] [registry URI...]\n       registrator check|ls|cleanup …')
    .argument(
      '[registry...]',
      `where services go, several at once if you like: ${SCHEMES.map((scheme) => `${scheme}://`).join(' ')}`,
    )
    .addOption(
      text(
        '--ip <address>',
        'address of published ports (default: the host name resolved, else the one the kernel routes from)',
        ipAddress,
      ),
    )
    .addOption(
      choice(
        '--ip-family <4|6>',
        'family of addresses taken from Docker and the host',
        ['4', '6'],
        `${DEFAULTS.ipFamily}`,
      ),
    )
    .addOption(text('--hostname <name>', "first part of service IDs (default: the Docker host's name)", hostName))
    .addOption(flag('--internal', 'register exposed ports at the container address, not published ones at the host'))
    .addOption(flag('--explicit', 'register only ports that a SERVICE_NAME or SERVICE_<port>_NAME asks for'))
    .addOption(text('--network <name>', 'the Docker network whose address a container is known by'))
    .addOption(text('--use-ip-from-label <label>', 'take the address from this container label, where it has it'))
    .addOption(flag('--ip-from-container', 'take the address of the container, whichever port is registered'))
    .addOption(flag('--compose-names', 'name containers by their Compose service where no label names them'))
    .addOption(flag('--swarm', 'name tasks by their Swarm service, and read its labels and its ingress ports'))
    .addOption(
      text(
        '--tags <template>',
        'tags for every service, comma separated; {{ .Config.Labels }} and the like are filled in',
      ),
    )
    .addOption(text('--ttl <seconds>', 'entries expire after this, where the registry can (default: never)', seconds))
    .addOption(text('--ttl-refresh <seconds>', 'renew them this often (default: a third of --ttl)', seconds))
    .addOption(
      text('--resync <seconds>', 'compare Docker and the registry this often; 0: never', seconds).default(
        DEFAULTS.resync,
      ),
    )
    .addOption(
      choice(
        '--deregister <when>',
        'what becomes of an exited container: gone always, or only on exit code 0 or a signal',
        ['always', 'on-success'],
        DEFAULTS.deregister,
      ),
    )
    .addOption(flag('--deregister-on-exit', 'remove every service of this host when registrator is stopped'))
    .addOption(flag('--no-docker-health', 'do not turn the HEALTHCHECK of an image into a check'))
    .addOption(
      text(
        '--health-ttl <seconds>',
        'how long the last state of a HEALTHCHECK holds in Consul while registrator is away',
        healthSeconds,
      ).default(DEFAULTS.healthTtl),
    )
    .addOption(
      choice(
        '--drain <on|off>',
        'take services out as soon as Docker begins to stop their container (default: on, off with --deregister on-success)',
        ['on', 'off'],
      ),
    )
    .addOption(
      flag(
        '--require-healthy',
        'where a registry has no health (etcd, ZooKeeper …), it holds only containers whose HEALTHCHECK says healthy, and those without one',
      ),
    )
    .addOption(flag('--cleanup', 'accepted for old scripts: stale services of this host are always removed'))
    .addOption(
      text(
        '--retry-attempts <number>',
        'tries of the first connection after the first; -1: for ever',
        attempts,
      ).default(-1),
    )
    .addOption(
      text('--retry-interval <milliseconds>', 'wait between the first two tries', milliseconds).default(
        DEFAULTS.retryInterval,
      ),
    )
    .addOption(
      text(
        '--http <address>',
        'serve /metrics, /health, /ready and the page /ui/ here, as in 127.0.0.1:9090 or :9090',
        listenAddress,
      ),
    )
    .addOption(
      text(
        '--http-name <names>',
        'what clients call the HTTP servers of --http and memory:// by, beside addresses, localhost and the name of this host',
        (value) => value.split(','),
      ),
    )
    .addOption(text('--dns-domain <name>', 'where names end in the DNS of memory:// (default: consul)', domainName))
    .addOption(text('--dns-ttl <seconds>', 'how long answers of that DNS may be cached (default: 0)', seconds))
    .addOption(
      text('--dns-forward <resolvers>', 'ask these for all other names, as in 192.0.2.1,192.0.2.2:5353', resolvers),
    )
    .addOption(
      flag(
        '--check-any-address',
        'let health checks of memory:// go to any address that a label names, not only to the container and this host',
      ),
    )
    .addOption(text('--snapshot <file>', 'keep what memory:// holds here, to answer at once after a restart'))
    .addOption(
      new Option('--plugin <file>', 'a module with a registry of your own; may be given several times').argParser(
        (value: string, before: readonly string[] = []) => [...before, value],
      ),
    )
    .addOption(choice('--log-level <level>', 'least level of log lines', LOG_LEVELS, DEFAULTS.logLevel))
    .addOption(
      choice(
        '--log-format <format>',
        'auto: lines for people on a terminal, JSON elsewhere',
        LOG_FORMATS,
        DEFAULTS.logFormat,
      ),
    )
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText('after', HELP)
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  program
    .command('check')
    .description('show what would be registered, and why a port is not; writes nothing')
    .argument('[container]', 'name or ID; every running container without it')
    .argument('[registry...]', 'URIs: also show what somebody else holds there')
    .option('--json', 'as JSON');
  program
    .command('ls')
    .description('show what a registry holds of this host, and what of it is stale; writes nothing')
    .argument('[registry...]', 'URIs, as for registrator itself')
    .option('--json', 'as JSON');
  program
    .command('cleanup')
    .description('remove what a registry holds of this host and no running container means')
    .argument('[registry...]', 'URIs, as for registrator itself')
    .option('--dry-run', 'only say what would be removed');
  return program;
}

const HELP = `
Without a URI it is memory://, an embedded catalogue with Consul's read API on 127.0.0.1:8500 and DNS on 127.0.0.1:8600.

Every flag can be set in the environment, as REGISTRATOR_TTL_REFRESH=10; the command line wins.
Old spellings work: -ip 10.0.0.1, -ttl=30, -useIpFromLabel my.ip, -internal=true.
Docker is found by DOCKER_HOST, else its socket. Consul's own variables (CONSUL_HTTP_TOKEN, CONSUL_CACERT …) are read.

Examples
  $ registrator                                     discovery for one host, nothing else to install
  $ dig @127.0.0.1 -p 8600 redis.service.consul     ask it
  $ registrator consul://localhost:8500             register with Consul
  $ registrator --internal --network back consul://localhost:8500
  $ registrator check web                           why is it not there, and why with that address
`;

/** @throws UsageError for anything that does not fit */
export function toOptions(program: Command, uris: readonly string[]): Options {
  const flags = program.opts();
  const ttl: number | undefined = flags.ttl || undefined;
  const ttlRefresh: number | undefined = flags.ttlRefresh || undefined;
  if (ttlRefresh !== undefined && ttl === undefined) {
    throw new UsageError('--ttl-refresh renews what --ttl lets expire: give --ttl too, or neither.');
  }
  if (ttl !== undefined && ttlRefresh !== undefined && ttlRefresh >= ttl) {
    throw new UsageError(
      `--ttl-refresh (${ttlRefresh}) must be less than --ttl (${ttl}), or entries expire before they are renewed.`,
    );
  }
  if (flags.drain === 'on' && flags.deregister === 'on-success') {
    throw new UsageError(
      '--drain takes services out before their container has ended, and --deregister on-success waits for its exit code: drop one of the two.',
    );
  }
  const catalogue = catalogueSettings(flags, uris);
  if (flags.retryInterval === 0) throw new UsageError('--retry-interval must be greater than 0.');
  return compact({
    registries: uris.length === 0 ? DEFAULTS.registries : uris,
    ipFamily: flags.ipFamily === '6' ? 6 : 4,
    internal: flags.internal ?? DEFAULTS.internal,
    explicit: flags.explicit ?? DEFAULTS.explicit,
    ipFromContainer: flags.ipFromContainer ?? DEFAULTS.ipFromContainer,
    composeNames: flags.composeNames ?? DEFAULTS.composeNames,
    swarm: flags.swarm ?? DEFAULTS.swarm,
    resync: flags.resync,
    deregister: flags.deregister,
    deregisterOnExit: flags.deregisterOnExit ?? DEFAULTS.deregisterOnExit,
    dockerHealth: flags.dockerHealth,
    healthTtl: flags.healthTtl,
    drain: flags.drain !== 'off' && flags.deregister !== 'on-success',
    requireHealthy: flags.requireHealthy ?? DEFAULTS.requireHealthy,
    retryAttempts: flags.retryAttempts === -1 ? Number.POSITIVE_INFINITY : flags.retryAttempts,
    retryInterval: flags.retryInterval,
    plugins: DEFAULTS.plugins,
    logLevel: flags.logLevel,
    logFormat: flags.logFormat,
    catalogue,
    httpNames: flags.httpName ?? [],
    http: flags.http,
    ip: flags.ip,
    hostname: flags.hostname,
    network: flags.network,
    ...(flags.useIpFromLabel ? { useIpFromLabel: flags.useIpFromLabel } : {}),
    ...(flags.tags ? { tags: tagTemplate(flags.tags) } : {}),
    ttl,
    ttlRefresh,
  });
}

/** The flags that are for memory:// only. */
function catalogueSettings(flags: OptionValues, uris: readonly string[]): CatalogueSettings | undefined {
  const { dnsDomain: domain, dnsTtl: ttl, dnsForward: forward, checkAnyAddress, snapshot } = flags;
  const settings = Object.entries({ domain, ttl, forward, checkAnyAddress, snapshot }).filter(
    ([, value]) => value !== undefined,
  );
  if (settings.length === 0) return undefined;
  const catalogues = uris.filter((uri) => /^memory:/i.test(uri)).length + (uris.length === 0 ? 1 : 0);
  if (catalogues === 0) {
    throw new UsageError(
      '--dns-domain, --dns-ttl, --dns-forward, --check-any-address and --snapshot are for memory://: add it, or drop them.',
    );
  }
  if (snapshot !== undefined && catalogues > 1) {
    throw new UsageError('--snapshot is for one catalogue: give one memory:// only, or no snapshot file.');
  }
  if (snapshot === '') throw new UsageError('--snapshot takes the name of a file.');
  return Object.fromEntries(settings);
}

function text(flags: string, description: string, parse?: (value: string) => unknown): Option {
  const option = new Option(flags, description);
  return parse === undefined ? option : option.argParser(parse);
}

function choice(flags: string, description: string, values: readonly string[], preset?: string): Option {
  return new Option(flags, description).choices(values).default(preset);
}

const flag = (flags: string, description: string) => new Option(flags, description);

function tagTemplate(template: string) {
  try {
    return parseTagTemplate(template);
  } catch (error) {
    if (error instanceof TemplateSyntaxError) throw new UsageError(`--tags does not parse: ${error.message}`);
    throw error;
  }
}

function wholeNumber(value: string, least: number, most: number, of: string): number {
  const number = Number(value);
  if (!/^-?\d+$/.test(value) || number < least || number > most) {
    throw new InvalidArgumentError(`It takes a whole number of ${of} from ${least} to ${most}.`);
  }
  return number;
}

const seconds = (value: string) => wholeNumber(value, 0, DAYS, 'seconds');
const healthSeconds = (value: string) => wholeNumber(value, 10, 7 * DAYS, 'seconds');
const milliseconds = (value: string) => wholeNumber(value, 1, DAYS * 1000, 'milliseconds');
const attempts = (value: string) => wholeNumber(value, -1, 1_000_000, 'tries');

function ipAddress(value: string): string {
  const address = readIpAddress(value);
  if (address === undefined) throw new InvalidArgumentError('It takes an IPv4 or IPv6 address, without a zone.');
  return address;
}

function listenAddress(value: string): HostPort {
  const { host, port } = parseHostPort(value) ?? {};
  if (port === undefined || (host !== '' && isIP(host ?? '') === 0)) {
    throw new InvalidArgumentError('It takes an address and a port, as in 127.0.0.1:9090, [::1]:9090 or :9090.');
  }
  return { host: host || '0.0.0.0', port };
}

function resolvers(value: string) {
  const upstreams = parseUpstreams(value);
  if (upstreams === undefined) {
    throw new InvalidArgumentError('It takes IP addresses, with ports where they are not 53, and commas between.');
  }
  return upstreams;
}

function domainName(value: string): string {
  const name = value.replace(/^\.|\.$/g, '');
  if (name.length > 200 || !name.split('.').every(isLabel)) {
    throw new InvalidArgumentError('It takes a domain name, as in consul or svc.example.com.');
  }
  return name;
}

const isLabel = (label: string) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label);

function hostName(value: string): string {
  // A colon would end the host's part of an ID, and a slash a key's.
  if (!/^[^\s:/]{1,253}$/.test(value))
    throw new InvalidArgumentError('It takes a host name without spaces, colons or slashes.');
  return value;
}
