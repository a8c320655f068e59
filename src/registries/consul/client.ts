import { readFileSync } from 'node:fs';
import { parseBoolean } from '../../lib/boolean.ts';
import { compact } from '../../lib/compact.ts';
import type { Environment } from '../../lib/environment.ts';
import { hostPort, parseHostPort } from '../../lib/host-port.ts';
import { HttpClient, type HttpTarget, type Tls } from '../../lib/http/index.ts';

export interface ConsulConnection {
  readonly client: HttpClient;
  /** For logs: scheme and address. */
  readonly name: string;
  /** What follows the address in the URI, without slashes at its ends: the prefix of `consulkv`. */
  readonly path: string;
  readonly hasToken: boolean;
}

interface ConsulAddress {
  readonly secure: boolean;
  readonly host: string;
  readonly socketPath?: string;
  readonly path: string;
}

/**
 * The connection that `consul[kv][-tls|-unix]://…` and Consul's own environment variables ask for (names and meanings:
 * Consul's command reference). Throws an Error with one sentence when either is wrong; opens nothing.
 */
export function consulClient(uri: string, env: Environment): ConsulConnection {
  const address = parseConsulUri(uri, env);
  const token = () =>
    env.CONSUL_HTTP_TOKEN || secretFile(env, 'CONSUL_HTTP_TOKEN_FILE')?.toString().trim() || undefined;
  const hasToken = Boolean(env.CONSUL_HTTP_TOKEN || env.CONSUL_HTTP_TOKEN_FILE);
  const target: HttpTarget = compact({
    baseUrl: `${address.secure ? 'https' : 'http'}://${address.host}`,
    headers: env.CONSUL_NAMESPACE ? { 'X-Consul-Namespace': env.CONSUL_NAMESPACE } : undefined,
    credentials: hasToken ? () => compact({ 'X-Consul-Token': token() }) : undefined,
    socketPath: address.socketPath,
    tls: address.secure ? () => tls(env) : undefined,
  });
  // Files are read anew at each use. What is wrong with them is told at the start.
  token();
  target.tls?.();
  const scheme = uri.slice(0, uri.indexOf(':'));
  const name = `${scheme}://${address.socketPath ?? address.host}${address.path === '' ? '' : `/${address.path}`}`;
  return { client: new HttpClient(target), name, path: address.path, hasToken };
}

/** Pure but for the environment; exported for tests. */
export function parseConsulUri(uri: string, env: Environment): ConsulAddress {
  const [, scheme = '', rest = ''] = /^([a-z-]+):(?:\/\/)?(.*)$/s.exec(uri) ?? [];
  if (scheme.endsWith('-unix')) return unixAddress(uri, rest);
  const slash = rest.indexOf('/');
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : trimSlashes(rest.slice(slash));
  const secure = scheme.endsWith('-tls') || parseBoolean(env.CONSUL_HTTP_SSL ?? '') === true;
  if (authority !== '') return { secure, host: withPort(authority, 'The registry URI'), path };
  const fromEnv = env.CONSUL_HTTP_ADDR?.trim() ?? '';
  if (/^unix:\/\//i.test(fromEnv)) return { ...unixAddress('CONSUL_HTTP_ADDR', fromEnv.slice(7)), path };
  const host = fromEnv.replace(/^https?:\/\//i, '').replace(/\/.*$/s, '');
  return {
    secure: secure || /^https:\/\//i.test(fromEnv),
    host: host === '' ? '127.0.0.1:8500' : withPort(host, 'CONSUL_HTTP_ADDR'),
    path,
  };
}

/** `/path/to/socket`, and for consulkv `:/prefix` after it. */
function unixAddress(source: string, rest: string): ConsulAddress {
  const colon = rest.indexOf(':');
  const socketPath = colon === -1 ? rest : rest.slice(0, colon);
  if (!socketPath.startsWith('/')) {
    throw new Error(`${source} names no socket: write the absolute path, as in consul-unix:///var/run/consul.sock.`);
  }
  return { secure: false, host: 'localhost', socketPath, path: colon === -1 ? '' : trimSlashes(rest.slice(colon + 1)) };
}

function withPort(authority: string, source: string): string {
  if (/[@?#]/.test(authority)) {
    throw new Error(
      `${source} may hold a host and a port only; give a token by CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE.`,
    );
  }
  const { host = '', port = 8500 } = parseHostPort(authority) ?? {};
  if (host === '' || port === 0) throw new Error(`${source} holds an address that is no host:port.`);
  return hostPort(host, port);
}

function tls(env: Environment): Tls {
  const ca = secretFile(env, 'CONSUL_CACERT');
  const cert = secretFile(env, 'CONSUL_CLIENT_CERT');
  const key = secretFile(env, 'CONSUL_CLIENT_KEY');
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error('CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY go together: set both or neither.');
  }
  return compact({ ca, cert, key, rejectUnauthorized: parseBoolean(env.CONSUL_HTTP_SSL_VERIFY ?? '') !== false });
}

function secretFile(env: Environment, variable: string): Buffer | undefined {
  const path = env[variable];
  if (!path) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(
      `The file that ${variable} names cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`,
    );
  }
}

const trimSlashes = (path: string) => path.replace(/^\/+|\/+$/g, '');
