import { isIP } from 'node:net';
import { Command, InvalidArgumentError, Option } from 'commander';
import { LOG_FORMATS, LOG_LEVELS } from '../ops/index.ts';
import type { Options } from '../options.ts';
import { SCHEMES } from '../registries/index.ts';
import { parseTagTemplate, TemplateSyntaxError } from '../services/index.ts';

/** What was typed is wrong. `message` is one sentence; nothing was started. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const DAYS = 24 * 60 * 60;

/** The command line: flags, help and their values' forms. What goes with what is checked in `toOptions`. */
export function createProgram(version: string): Command {
  return new Command('registrator')
    .description('Watches a Docker host and keeps a service registry true to it.')
    .usage('[options] [registry URI...]')
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
    .addOption(choice('--ip-family <4|6>', 'family of addresses taken from Docker and the host', ['4', '6'], '4'))
    .addOption(text('--hostname <name>', "first part of service IDs (default: the Docker host's name)", hostName))
    .addOption(flag('--internal', 'register exposed ports at the container address, not published ones at the host'))
    .addOption(flag('--explicit', 'register only ports that a SERVICE_NAME or SERVICE_<port>_NAME asks for'))
    .addOption(text('--network <name>', 'the Docker network whose address a container is known by'))
    .addOption(text('--use-ip-from-label <label>', 'take the address from this container label, where it has it'))
    .addOption(flag('--ip-from-container', 'take the address of the container, whichever port is registered'))
    .addOption(
      text(
        '--tags <template>',
        'tags for every service, comma separated; {{ .Config.Labels }} and the like are filled in',
      ),
    )
    .addOption(text('--ttl <seconds>', 'entries expire after this, where the registry can (default: never)', seconds))
    .addOption(text('--ttl-refresh <seconds>', 'renew them this often (default: a third of --ttl)', seconds))
    .addOption(text('--resync <seconds>', 'compare Docker and the registry this often; 0: never', seconds).default(60))
    .addOption(
      choice(
        '--deregister <when>',
        'what becomes of an exited container: gone always, or only on exit code 0 or a signal',
        ['always', 'on-success'],
        'always',
      ),
    )
    .addOption(flag('--deregister-on-exit', 'remove every service of this host when registrator is stopped'))
    .addOption(flag('--no-docker-health', 'do not turn the HEALTHCHECK of an image into a check'))
    .addOption(flag('--cleanup', 'accepted for old scripts: stale services of this host are always removed'))
    .addOption(
      text(
        '--retry-attempts <number>',
        'tries of the first connection after the first; -1: for ever',
        attempts,
      ).default(-1),
    )
    .addOption(text('--retry-interval <milliseconds>', 'wait between the first two tries', milliseconds).default(2000))
    .addOption(choice('--log-level <level>', 'least level of log lines', LOG_LEVELS, 'info'))
    .addOption(
      choice('--log-format <format>', 'auto: lines for people on a terminal, JSON elsewhere', LOG_FORMATS, 'auto'),
    )
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', HELP)
    .allowExcessArguments(true)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
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
  if (flags.retryInterval === 0) throw new UsageError('--retry-interval must be greater than 0.');
  return {
    registries: uris.length === 0 ? ['memory://'] : uris,
    ipFamily: flags.ipFamily === '6' ? 6 : 4,
    internal: flags.internal ?? false,
    explicit: flags.explicit ?? false,
    ipFromContainer: flags.ipFromContainer ?? false,
    resync: flags.resync,
    deregister: flags.deregister,
    deregisterOnExit: flags.deregisterOnExit ?? false,
    dockerHealth: flags.dockerHealth,
    retryAttempts: flags.retryAttempts === -1 ? Number.POSITIVE_INFINITY : flags.retryAttempts,
    retryInterval: flags.retryInterval,
    logLevel: flags.logLevel,
    logFormat: flags.logFormat,
    ...(flags.ip === undefined ? {} : { ip: flags.ip }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...(flags.network === undefined ? {} : { network: flags.network }),
    ...(flags.useIpFromLabel ? { useIpFromLabel: flags.useIpFromLabel } : {}),
    ...(flags.tags ? { tags: tagTemplate(flags.tags) } : {}),
    ...(ttl === undefined ? {} : { ttl }),
    ...(ttlRefresh === undefined ? {} : { ttlRefresh }),
  };
}

function text(flags: string, description: string, parse?: (value: string) => unknown): Option {
  const option = new Option(flags, description);
  return parse === undefined ? option : option.argParser(parse);
}

function choice(flags: string, description: string, values: readonly string[], preset: string): Option {
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
const milliseconds = (value: string) => wholeNumber(value, 1, DAYS * 1000, 'milliseconds');
const attempts = (value: string) => wholeNumber(value, -1, 1_000_000, 'tries');

function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new InvalidArgumentError('It takes an IPv4 or IPv6 address.');
  return value;
}

function hostName(value: string): string {
  // A colon would end the host's part of an ID, and a slash a key's.
  if (!/^[^\s:/]{1,253}$/.test(value))
    throw new InvalidArgumentError('It takes a host name without spaces, colons or slashes.');
  return value;
}
