import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConstructorOptions } from 'docker-modem';

type Environment = Readonly<Record<string, string | undefined>>;

export interface DockerConnection {
  readonly options: ConstructorOptions;
  /** For logs, e.g. `unix:///var/run/docker.sock`. */
  readonly name: string;
}

/**
 * Which Docker to watch: `DOCKER_HOST` (with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`) as Docker's own CLI reads it;
 * else the first socket that is there. Throws an Error with one sentence when the environment is wrong.
 *
 * @param exists tells whether a path is there
 */
export function dockerConnection(env: Environment, exists: (path: string) => boolean = existsSync): DockerConnection {
  const host = env.DOCKER_HOST?.trim() ?? '';
  if (host !== '') return fromHost(host, env);
  const sockets = socketCandidates(env);
  const socketPath = sockets.find(exists) ?? '/var/run/docker.sock';
  return { options: { socketPath }, name: `unix://${socketPath}` };
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
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/s.exec(host) ?? [];
  switch (scheme) {
    case 'unix':
    case 'npipe':
      if (rest === '') throw new Error('DOCKER_HOST names no socket: write unix:///var/run/docker.sock.');
      return { options: { socketPath: rest }, name: host };
    case 'tcp':
    case 'http':
    case 'https':
      return overTcp(rest, scheme === 'https' || Boolean(env.DOCKER_TLS_VERIFY), env);
    case 'ssh':
      return overSsh(rest, env);
    default:
      throw new Error('DOCKER_HOST must begin with unix://, tcp://, ssh:// or npipe://.');
  }
}

function overTcp(authority: string, secure: boolean, env: Environment): DockerConnection {
  const url = parseAuthority(authority);
  const port = url.port === '' ? (secure ? '2376' : '2375') : url.port;
  const address = { host: url.hostname.replace(/^\[|\]$/g, ''), port };
  const name = `tcp://${url.hostname}:${port}`;
  if (!secure) return { options: { ...address, protocol: 'http' }, name };
  return { options: { ...address, protocol: 'https', ...certificates(env) }, name };
}

function certificates(env: Environment): Pick<ConstructorOptions, 'ca' | 'cert' | 'key'> {
  const folder = env.DOCKER_CERT_PATH ?? (env.HOME ? join(env.HOME, '.docker') : '');
  const read = (file: string) => {
    try {
      return readFileSync(join(folder, file), 'utf8');
    } catch {
      throw new Error(
        `DOCKER_TLS_VERIFY is set, but ${file} cannot be read in the folder that DOCKER_CERT_PATH names.`,
      );
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}

function overSsh(authority: string, env: Environment): DockerConnection {
  const url = parseAuthority(authority);
  return {
    options: {
      protocol: 'ssh',
      host: url.hostname,
      port: url.port === '' ? 22 : Number(url.port),
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(env.SSH_AUTH_SOCK ? { sshOptions: { agent: env.SSH_AUTH_SOCK } } : {}),
    },
    name: `ssh://${url.hostname}`,
  };
}

function parseAuthority(authority: string): URL {
  try {
    return new URL(`http://${authority}`);
  } catch {
    throw new Error('DOCKER_HOST has no valid host and port.');
  }
}
