import { readFileSync } from 'node:fs';
import { compact } from '../../lib/compact.ts';
import type { Environment } from '../../lib/environment.ts';
import { hostPort, parseHostPort } from '../../lib/host-port.ts';
import type { Tls } from '../../lib/http/index.ts';

/** Where etcd is, and who we are to it. */
export interface EtcdTarget {
  /** For logs. */
  readonly name: string;
  /** `host:port`, at least one. */
  readonly endpoints: readonly string[];
  /** Present for the schemes with `+tls`. Reads the files anew, for they may be replaced. Throws a sentence. */
  readonly tls?: () => Tls;
  readonly credentials?: EtcdCredentials;
  /** The parts of the URI's path, decoded; none of them empty, `.` or `..`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

export interface EtcdCredentials {
  readonly username: string;
  /** Reads the password file anew, for it may be replaced. Rejects with a sentence. */
  password(): Promise<string>;
}

/**
 * Reads `scheme://h1,h2:port/path`, ETCD_CACERT, ETCD_CERT, ETCD_KEY, ETCD_USERNAME, ETCD_PASSWORD and
 * ETCD_PASSWORD_FILE. A host without a port has that of the last host, or 2379; no host is 127.0.0.1. Also, as
 * fayrus/registrator has them: ETCD_ENDPOINTS (more hosts), ETCD_CA_CERT_FILE, ETCD_CERT_FILE and ETCD_KEY_FILE.
 *
 * @throws an Error with one sentence, which quotes nothing of a URI that may hold a password
 */
export async function etcdTarget(uri: string, env: Environment): Promise<EtcdTarget> {
  const { scheme, hosts, rawPath, query } = split(uri);
  const more = env.ETCD_ENDPOINTS?.replace(/https?:\/\//gi, '').trim();
  const endpoints = [
    ...new Set([hosts, more].flatMap((list, n) => (n > 0 && !list ? [] : parseHosts(list ?? '', scheme)))),
  ];
  const path = parsePath(rawPath, scheme);
  const credentials = readCredentials(env);
  const tls = scheme.endsWith('+tls') || forkCertificates(env) ? () => readTls(env) : undefined;
  // What is wrong with the files is told at the start.
  tls?.();
  return compact({
    name: `${scheme}://${endpoints.join(',')}${path.map((part) => `/${encodeURIComponent(part)}`).join('')}`,
    endpoints,
    path,
    query: new URLSearchParams(query),
    tls,
    credentials,
  });
}

function split(uri: string) {
  const match = /^([a-z0-9+-]+):\/\/([^/?#@]*)([^?#]*)(?:\?([^#]*))?$/i.exec(uri);
  if (match === null) {
    const scheme = /^[a-z0-9+-]+/i.exec(uri)?.[0].toLowerCase() ?? 'etcd';
    throw new Error(`The ${scheme} URI cannot be read: it must look like ${scheme}://host1:2379,host2:2379/path.`);
  }
  const [, scheme = '', hosts = '', rawPath = '', query = ''] = match;
  return { scheme: scheme.toLowerCase(), hosts, rawPath, query };
}

function parseHosts(hosts: string, scheme: string): string[] {
  const bad = () =>
    new Error(
      `The hosts of the ${scheme} URI cannot be read: write them as host:port, separated by commas, an IPv6 address in brackets.`,
    );
  const parts = (hosts === '' ? '127.0.0.1' : hosts).split(',').map((part) => {
    const { host = '', port } = parseHostPort(part) ?? {};
    if (host === '' || port === 0) throw bad();
    return { host, port };
  });
  const fallback = parts.at(-1)?.port ?? 2379;
  return [...new Set(parts.map(({ host, port }) => hostPort(host, port ?? fallback)))];
}

function parsePath(rawPath: string, scheme: string): string[] {
  const parts = rawPath.split('/').filter((part) => part !== '');
  return parts.map((part) => {
    const decoded = decode(part);
    if (decoded === undefined || /^\.{0,2}$|[/\p{Cc}\p{Cs}]/u.test(decoded)) {
      throw new Error(
        `The path of the ${scheme} URI cannot be read: it takes no ".", "..", control characters or malformed %-escapes.`,
      );
    }
    return decoded;
  });
}

function readCredentials({ ETCD_USERNAME: username, ETCD_PASSWORD: password, ETCD_PASSWORD_FILE: file }: Environment) {
  if (!username) return undefined;
  if (password) return { username, password: async () => password };
  if (!file) throw new Error('There is an etcd user but no password: set ETCD_PASSWORD or ETCD_PASSWORD_FILE.');
  return { username, password: async () => readNamed('ETCD_PASSWORD_FILE', file).toString().trimEnd() };
}

/** The names that fayrus/registrator gives them; there, they turn TLS on by themselves. */
const forkCertificates = (env: Environment) =>
  Boolean(env.ETCD_CA_CERT_FILE || env.ETCD_CERT_FILE || env.ETCD_KEY_FILE);

function readTls(env: Environment): Tls {
  const ETCD_CACERT = env.ETCD_CACERT || env.ETCD_CA_CERT_FILE;
  const ETCD_CERT = env.ETCD_CERT || env.ETCD_CERT_FILE;
  const ETCD_KEY = env.ETCD_KEY || env.ETCD_KEY_FILE;
  if (!ETCD_CERT !== !ETCD_KEY) throw new Error('ETCD_CERT and ETCD_KEY go together: set both, or neither.');
  return {
    ...(ETCD_CACERT ? { ca: readNamed('ETCD_CACERT', ETCD_CACERT) } : {}),
    ...(ETCD_CERT ? { cert: readNamed('ETCD_CERT', ETCD_CERT) } : {}),
    ...(ETCD_KEY ? { key: readNamed('ETCD_KEY', ETCD_KEY) } : {}),
  };
}

function readNamed(variable: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new Error(`The file that ${variable} names cannot be read (${code}): check the path.`);
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
