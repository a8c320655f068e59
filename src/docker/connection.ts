import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../lib/environment.ts';
import type { Destination, Tls } from '../lib/http/index.ts';
import { isVersion } from './api-version.ts';
import { dialOverSsh } from './ssh.ts';

export interface DockerConnection {
  readonly destination: Destination;
  /** For logs, e.g. `unix:///var/run/docker.sock`. */
  readonly name: string;
  /** The version of the API that is spoken whatever the engine offers. */
  readonly apiVersion?: string;
}

/** Connections at once: more than inspections under way, with the event stream and a listing. */
const CONNECTIONS = 40;
/** What Docker is called where a socket leads to it. */
const BASE_URL = 'http://docker';

/**
 * Which Docker to watch: `DOCKER_HOST` (with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`) as Docker's own CLI reads it;
 * else the first socket that is there. `DOCKER_API_VERSION` as there, too. Throws an Error with one sentence when the
 * environment is wrong.
 *
 * @param exists tells whether a path is there
 */
export function dockerConnection(env: Environment, exists: (path: string) => boolean = existsSync): DockerConnection {
  const host = env.DOCKER_HOST?.trim() ?? '';
  const apiVersion = env.DOCKER_API_VERSION?.trim().replace(/^v/, '') ?? '';
  if (apiVersion !== '' && !isVersion(apiVersion)) throw new Error('DOCKER_API_VERSION must look like 1.41.');
  const connection = host === '' ? toFirstSocket(env, exists) : fromHost(host, env);
  return apiVersion === '' ? connection : { ...connection, apiVersion };
}

function toFirstSocket(env: Environment, exists: (path: string) => boolean): DockerConnection {
  const socketPath = socketCandidates(env).find(exists) ?? '/var/run/docker.sock';
  return overSocket(socketPath, `unix://${socketPath}`);
}

/** /tmp/docker.sock is where compose files of gliderlabs/registrator mount it; then Docker Desktop, rootless and Podman. */
function socketCandidates(env: Environment): string[] {
  const home = env.HOME;
  const runtime = env.XDG_RUNTIME_DIR;
  return [
    '/var/run/docker.sock',
    '/tmp/docker.sock',
    ...(home ? [join(home, '.docker/run/docker.sock'), join(home, '.docker/desktop/docker.sock')] : []),
    ...(runtime ? [join(runtime, 'docker.sock'), join(runtime, 'podman/podman.sock')] : []),
    '/run/podman/podman.sock',
  ];
}

function fromHost(host: string, env: Environment): DockerConnection {
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/is.exec(host) ?? [];
  switch (scheme.toLowerCase()) {
    case 'unix':
    case 'npipe':
      if (rest === '') throw new Error('DOCKER_HOST names no socket: write unix:///var/run/docker.sock.');
      return overSocket(rest, host);
    case 'tcp':
    case 'http':
    case 'https':
      return overTcp(rest, /^https$/i.test(scheme) || Boolean(env.DOCKER_TLS_VERIFY), env);
    case 'ssh':
      return overSsh(rest);
    default:
      throw new Error('DOCKER_HOST must begin with unix://, tcp://, ssh:// or npipe://.');
  }
}

function overSocket(socketPath: string, name: string): DockerConnection {
  return { destination: { baseUrl: BASE_URL, socketPath, maxSockets: CONNECTIONS }, name };
}

function overTcp(authority: string, secure: boolean, env: Environment): DockerConnection {
  const url = parseAuthority(authority);
  const port = url.port === '' ? (secure ? '2376' : '2375') : url.port;
  const address = `${url.hostname}:${port}`;
  const name = `tcp://${address}`;
  if (!secure) return { destination: { baseUrl: `http://${address}`, maxSockets: CONNECTIONS }, name };
  const tls = () => certificates(env);
  // What is wrong with them is told at the start.
  tls();
  return { destination: { baseUrl: `https://${address}`, tls, maxSockets: CONNECTIONS }, name };
}

function certificates(env: Environment): Tls {
  const folder = env.DOCKER_CERT_PATH ?? (env.HOME ? join(env.HOME, '.docker') : '');
  const read = (file: string) => {
    try {
      return readFileSync(join(folder, file));
    } catch {
      throw new Error(
        `DOCKER_TLS_VERIFY is set, but ${file} cannot be read in the folder that DOCKER_CERT_PATH names.`,
      );
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}

function overSsh(authority: string): DockerConnection {
  const { hostname, port, username, pathname } = parseAuthority(authority);
  // A shell over there reads it.
  if (!/^[\w./-]*$/.test(pathname)) throw new Error('DOCKER_HOST names a socket behind ssh:// that is no plain path.');
  const ssh = {
    host: hostname.replace(/^\[|\]$/g, ''),
    ...(port === '' ? {} : { port }),
    ...(username === '' ? {} : { user: decodeURIComponent(username) }),
    ...(pathname === '/' ? {} : { socketPath: pathname }),
  };
  // Each is a login: sshd turns away who comes with more than ten at once (its MaxStartups).
  return { destination: { baseUrl: BASE_URL, dial: () => dialOverSsh(ssh), maxSockets: 4 }, name: `ssh://${hostname}` };
}

function parseAuthority(authority: string): URL {
  try {
    return new URL(`http://${authority}`);
  } catch {
    throw new Error('DOCKER_HOST has no valid host and port.');
  }
}
