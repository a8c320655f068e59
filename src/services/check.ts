import { compact } from '../lib/compact.ts';
import { hostPort } from '../lib/host-port.ts';
import { quote } from '../lib/quote.ts';
import { type Budget, BudgetError } from '../template/index.ts';
import { parseDuration } from './duration.ts';
import { fieldText, isOn, type PortFields, refuse } from './fields.ts';
import { parseHeaders } from './headers.ts';
import { MAX_CHECK_TEXT } from './limits.ts';
import type { DeriveOptions } from './options.ts';
import type { Report } from './report.ts';
import type { Check, CheckTiming, HealthStatus, HttpCheck } from './service.ts';
import { needsShell, shellWords } from './words.ts';

/** What is checked. */
export interface CheckTarget {
  readonly address: string;
  readonly port: number;
  readonly exposedPort: number;
  readonly containerId: string;
  /** Whether the container has a HEALTHCHECK. */
  readonly hasHealthcheck: boolean;
}

type Kind = (typeof KINDS)[number];

/** The first that a container asks for counts. */
const KINDS = ['http', 'https', 'cmd', 'script', 'ttl', 'tcp', 'grpc', 'docker'] as const;

/** As in gliderlabs/registrator. */
const DEFAULT_INTERVAL = '10s';

/** Characters of a container's ID that `check-cmd` gets, as in gliderlabs/registrator. */
const SHORT_ID = 12;

/** What is told, and what may be done, in making the checks of one container. */
interface Means {
  readonly report: Report;
  readonly budget: Budget;
}

/**
 * The check that `SERVICE_CHECK_*` asks for; none, with a notice, where Consul would refuse it.
 *
 * @param options whether a HEALTHCHECK becomes a check where no other is asked for, and how long its last state holds
 */
export function checkOf(
  fields: PortFields,
  target: CheckTarget,
  options: Pick<DeriveOptions, 'dockerHealth' | 'healthTtl'>,
  { report, budget }: Means,
): Check | undefined {
  const kind = checkKind(fields, options.dockerHealth && target.hasHealthcheck);
  if (kind === undefined) return undefined;
  try {
    budget.spend((fieldText(fields, `check_${kind}`)?.length ?? 0) / STEP_CHARACTERS);
    return makeCheck(kind, fields, target, options.healthTtl, report);
  } catch (error) {
    if (error instanceof BudgetError) {
      report.exceed(keyOf(fields, `check_${kind}`));
      return undefined;
    }
    if (!(error instanceof CheckFault)) throw error;
    report.say('warn', `${error.message}; the service is registered without a check.`);
    return undefined;
  }
}

/** Characters of a check that cost as much as one step: a script's are taken apart for each port. */
const STEP_CHARACTERS = 4;

/**
 * Which check is asked for: `http` by `SERVICE_CHECK_HTTP`, and so on.
 *
 * @param byDefault whether a HEALTHCHECK counts where nothing is asked for
 */
export const checkKind = (fields: PortFields, byDefault: boolean): Kind | undefined =>
  KINDS.find((candidate) => isAskedFor(candidate, fields, byDefault));

/** Ends the making of a check; the message is the beginning of a sentence. */
class CheckFault extends Error {}

function isAskedFor(kind: Kind, fields: PortFields, byDefault: boolean): boolean {
  const name = `check_${kind}`;
  // `false` is a command, and no duration.
  if (kind === 'cmd' || kind === 'script' || kind === 'ttl') return fieldText(fields, name) !== undefined;
  if (kind === 'docker' && fieldText(fields, name) === undefined) return byDefault;
  return isOn(fields, name);
}

function makeCheck(kind: Kind, fields: PortFields, target: CheckTarget, healthTtl: number, report: Report): Check {
  const endpoint = hostPort(target.address, target.port);
  const value = fieldText(fields, `check_${kind}`) ?? '';
  if (value.length > MAX_CHECK_TEXT) {
    throw new CheckFault(`${keyOf(fields, `check_${kind}`)} is longer than ${MAX_CHECK_TEXT} characters`);
  }
  switch (kind) {
    case 'http':
    case 'https':
      return { ...httpCheck(kind, endpoint, value, fields, report), ...timing(fields, report) };
    case 'tcp':
      return { type: 'tcp', target: endpoint, ...timing(fields, report) };
    case 'grpc':
      return { type: 'grpc', target: endpoint, useTls: isOn(fields, 'check_grpc_use_tls'), ...timing(fields, report) };
    case 'cmd': {
      const args = ['check-cmd', target.containerId.slice(0, SHORT_ID), String(target.exposedPort), value];
      return { type: 'script', args, ...timing(fields, report) };
    }
    case 'script':
      return { type: 'script', args: scriptArgs(fields, value, target), ...timing(fields, report) };
    case 'ttl':
      return { type: 'ttl', ttl: duration(fields, 'check_ttl', 1n) ?? '', ...ending(fields, report) };
    case 'docker': {
      if (!target.hasHealthcheck) {
        throw new CheckFault(
          `${keyOf(fields, 'check_docker')} asks for Docker's health, and the container has no HEALTHCHECK`,
        );
      }
      // Docker knows the state from the start: no initial one is needed.
      return { type: 'docker', ttl: `${healthTtl}s`, ...compact({ deregisterAfter: deregisterAfter(fields) }) };
    }
  }
}

function httpCheck(
  scheme: 'http' | 'https',
  endpoint: string,
  path: string,
  fields: PortFields,
  report: Report,
): HttpCheck {
  if (/\p{Cc}/u.test(path)) throw new CheckFault(`${keyOf(fields, `check_${scheme}`)} has control characters`);
  const method = fields.get(`check_${scheme}_method`);
  const isMethod = /^[\w!#$%&'*+.^`|~-]{1,40}$/.test(method?.value ?? '');
  if (method?.value && !isMethod) refuse(method, 'no HTTP method', report);
  return {
    type: 'http',
    url: `${scheme}://${endpoint}${path.startsWith('/') ? '' : '/'}${path}`,
    ...compact({ method: isMethod ? method?.value : undefined, headers: parseHeaders(fields, report) }),
  };
}

/** The words of the command; where it takes a shell to read it, `sh -c` and the whole line. */
function scriptArgs(fields: PortFields, script: string, { address, port }: CheckTarget): readonly string[] {
  const words = shellWords(script);
  if (words === undefined) throw new CheckFault(`${keyOf(fields, 'check_script')} has a quote that is not closed`);
  if (words.length === 0) throw new CheckFault(`${keyOf(fields, 'check_script')} has no command`);
  const values: Readonly<Record<string, string>> = { IP: address, PORT: String(port) };
  // In the words, where there are such: what is put in is never split. A shell finds nothing to act on in an address or
  // a port. Quotes make no difference, as they made none before.
  return (needsShell(script) ? ['sh', '-c', script] : words).map((word) =>
    word.replace(/\$SERVICE_(IP|PORT)\b/g, (_, name: string) => values[name] ?? ''),
  );
}

/** For the checks that the registry makes itself. */
function timing(fields: PortFields, report: Report): CheckTiming {
  return {
    interval: duration(fields, 'check_interval', 1n) ?? DEFAULT_INTERVAL,
    ...compact({ timeout: duration(fields, 'check_timeout') }),
    ...(isOn(fields, 'check_tls_skip_verify') && { tlsSkipVerify: true }),
    ...ending(fields, report),
  };
}

function ending(fields: PortFields, report: Report): CheckTiming {
  return compact({ initialStatus: initialStatus(fields, report), deregisterAfter: deregisterAfter(fields) });
}

const deregisterAfter = (fields: PortFields) => duration(fields, 'check_deregister_after');

/** `SERVICE_CHECK_INITIAL_STATUS`: the state until the first check has said another one. */
export function initialStatus(fields: PortFields, report: Report): HealthStatus | undefined {
  const field = fields.get('check_initial_status');
  if (field === undefined || field.value === '') return undefined;
  const { value } = field;
  if (value === 'passing' || value === 'warning' || value === 'critical') return value;
  refuse(field, 'none of passing, warning and critical', report);
  return undefined;
}

/** A duration that Consul accepts, as written. @param least in nanoseconds */
function duration(fields: PortFields, name: string, least?: bigint): string | undefined {
  const value = fieldText(fields, name);
  if (value === undefined) return undefined;
  const nanoseconds = parseDuration(value);
  if (nanoseconds !== undefined && (least === undefined || nanoseconds >= least)) return value;
  throw new CheckFault(
    `${keyOf(fields, name)} is ${quote(value)}, which is no duration that Consul takes, such as 10s or 1m30s`,
  );
}

const keyOf = (fields: PortFields, name: string) => quote(fields.get(name)?.key ?? name);
