// The image's entry point: gives up root where the Docker socket allows it, keeps the heartbeat that HEALTHCHECK looks
// for, then becomes registrator.
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { heartbeatFile, heartbeatSeconds } from './heartbeat.js';

const NOBODY = 65534;
const { env } = process;

/** The groups that a process needs to reach Docker without being root; undefined where it must stay root. */
function groupsForDocker() {
  const host = env.DOCKER_HOST ?? '';
  if (host.startsWith('tcp://') || host.startsWith('http')) return [];
  const socket =
    host === '' ? ['/var/run/docker.sock', '/tmp/docker.sock'].find(existsSync) : host.slice('unix://'.length);
  // No socket yet: nobody knows its group. Keys of ssh:// are root's.
  if (!socket || !existsSync(socket) || host.startsWith('ssh')) return undefined;
  const { gid, mode } = statSync(socket);
  return (mode & 0o060) === 0o060 ? [gid] : undefined;
}

/** A token, key or certificate named in the environment that only its owner may read. */
function hasPrivateFile() {
  const paths = [...Object.values(env), `${env.DOCKER_CERT_PATH}/key.pem`];
  return paths.some((path) => {
    if (!path?.startsWith('/')) return false;
    const file = statSync(path, { throwIfNoEntry: false });
    return file?.isFile() && (file.mode & 0o004) === 0;
  });
}

function dropRoot() {
  if (process.getuid() !== 0 || env.RUN_AS_ROOT === 'true') return; // --user was given, or root asked for
  const groups = groupsForDocker();
  if (groups === undefined || hasPrivateFile()) return;
  try {
    process.setgroups(groups);
    process.setgid(NOBODY);
    process.setuid(NOBODY);
  } catch {
    // --cap-drop SETUID or SETGID: a root without capabilities, then.
  }
}

function beat() {
  try {
    writeFileSync(heartbeatFile, '');
  } catch {
    // HEALTHCHECK will tell.
  }
}

dropRoot();
beat();
setInterval(beat, heartbeatSeconds * 1000).unref();
await import('../dist/cli.js');
