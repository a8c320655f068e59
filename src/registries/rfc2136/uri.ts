import { readFile } from 'node:fs/promises';
import { parseBoolean } from '../../lib/boolean.ts';
import type { Environment } from '../../lib/environment.ts';
import { type HostPort, hostPort, parseHostPort } from '../../lib/host-port.ts';
import { ALGORITHMS, type TsigAlgorithm, type TsigKey } from './tsig.ts';

/** Which zone, on which servers, and how we sign. */
export interface Rfc2136Target {
  /** For logs. */
  readonly name: string;
  /** At least one; the first that takes our updates is used. */
  readonly servers: readonly HostPort[];
  /** Lower case, without the last dot. */
  readonly zone: string;
  /** Seconds. */
  readonly ttl: number;
  /** Whether tags have names, too. */
  readonly tags: boolean;
  /** Undefined where nothing is signed. */
  readonly keyName: string | undefined;
  readonly key: KeySource;
}

/**
 * The key as it is now: one in a file may be replaced. Undefined: nothing is signed.
 * @throws an Error with one sentence
 */
export type KeySource = () => Promise<TsigKey | undefined>;

const FORM = 'rfc2136://server[:port][,server…]/zone[?ttl=10&tags=1]';
const LONGEST_TTL = 86_400;
const ZONE = /^(?=.{1,200}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/**
 * Reads `rfc2136://server[:53][,server…]/zone[?ttl=10&tags=1]`, and from the environment RFC2136_TSIG_KEYNAME,
 * RFC2136_TSIG_SECRET or RFC2136_TSIG_SECRET_FILE (base64), RFC2136_TSIG_ALGORITHM, and RFC2136_INSECURE. A server
 * without a port has port 53; none at all is 127.0.0.1.
 *
 * @throws an Error with one sentence
 */
export function rfc2136Target(uri: string, env: Environment): Rfc2136Target {
  const rest = /^rfc2136:(?:\/\/)?(.*)$/s.exec(uri)?.[1] ?? '';
  const [, hosts = '', path = '', query = ''] = /^([^/?#]*)(?:\/([^/?#]*)\/?)?(?:\?([^#]*))?$/.exec(rest) ?? [];
  const zone = path.toLowerCase().replace(/\.$/, '');
  if (!ZONE.test(zone)) throw new Error(`The rfc2136 URI names no DNS zone: it must look like ${FORM}.`);
  const servers = (hosts || '127.0.0.1').split(',').map(parseServer);
  const where = servers.map(({ host, port }) => hostPort(host, port)).join(',');
  return { name: `rfc2136://${where}/${zone}`, servers, zone, ...parseQuery(query), ...keySource(env) };
}

function parseServer(text: string): HostPort {
  const { host = '', port = 53 } = parseHostPort(text) ?? {};
  if (host === '' || port === 0) {
    throw new Error(`The servers of the rfc2136 URI cannot be read: it must look like ${FORM}.`);
  }
  return { host, port };
}

function parseQuery(query: string): { ttl: number; tags: boolean } {
  const { ttl = '10', tags = '0', ...others } = Object.fromEntries(new URLSearchParams(query));
  const seconds = Number(ttl);
  if (!/^\d{1,5}$/.test(ttl) || seconds > LONGEST_TTL) {
    throw new Error(`The ttl of the rfc2136 URI must be a number of seconds up to ${LONGEST_TTL}, as in ?ttl=10.`);
  }
  if ((tags !== '0' && tags !== '1') || Object.keys(others).length > 0) {
    throw new Error('After its question mark the rfc2136 URI takes ttl=<seconds> and tags=1, and nothing else.');
  }
  return { ttl: seconds, tags: tags === '1' };
}

function keySource(env: Environment): Pick<Rfc2136Target, 'key' | 'keyName'> {
  const { RFC2136_TSIG_KEYNAME: keyName, RFC2136_TSIG_SECRET: secret, RFC2136_TSIG_SECRET_FILE: file } = env;
  const insecure = parseBoolean(env.RFC2136_INSECURE ?? '') === true;
  const isGiven = Boolean(keyName || secret || file);
  if (insecure && isGiven) {
    throw new Error('RFC2136_INSECURE says not to sign, and there is a TSIG key: unset the one or the other.');
  }
  if (insecure) return { keyName: undefined, key: async () => undefined };
  if (!keyName || !(secret || file)) {
    throw new Error(
      'DNS updates are signed: set RFC2136_TSIG_KEYNAME, and RFC2136_TSIG_SECRET or RFC2136_TSIG_SECRET_FILE; or RFC2136_INSECURE=1 for a server that takes unsigned ones.',
    );
  }
  const name = keyName.toLowerCase().replace(/\.$/, '');
  if (!ZONE.test(name)) throw new Error('RFC2136_TSIG_KEYNAME is no DNS name: write the name of the key statement.');
  const algorithm = parseAlgorithm(env.RFC2136_TSIG_ALGORITHM || 'hmac-sha256');
  if (secret) {
    const bytes = decoded(secret, 'RFC2136_TSIG_SECRET');
    return { keyName: name, key: async () => ({ name, algorithm, secret: bytes }) };
  }
  const read = async () => decoded(await readSecret(file ?? ''), 'RFC2136_TSIG_SECRET_FILE');
  return { keyName: name, key: async () => ({ name, algorithm, secret: await read() }) };
}

function parseAlgorithm(text: string): TsigAlgorithm {
  const wanted = text.toLowerCase().replace(/\.$/, '');
  const algorithm = ALGORITHMS.find((known) => known === wanted);
  if (algorithm === undefined) throw new Error(`RFC2136_TSIG_ALGORITHM must be one of ${ALGORITHMS.join(', ')}.`);
  return algorithm;
}

function decoded(text: string, variable: string): Buffer {
  const base64 = text.trim();
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64) || base64 === '') {
    throw new Error(
      `${variable} holds no base64: it takes what follows "secret" in the key statement, without quotes.`,
    );
  }
  return Buffer.from(base64, 'base64');
}

function readSecret(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `The file that RFC2136_TSIG_SECRET_FILE names cannot be read (${error.code ?? 'unknown'}): check the path.`,
    );
  });
}
