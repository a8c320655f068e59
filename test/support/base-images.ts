import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DockerEngine } from './engine.ts';
import { outsideProxy } from './own-network.ts';
import { addProgram, makeBusyboxRoot } from './rootfs.ts';

const run = promisify(execFile);

/**
 * Makes an image that has what `node:24` has of use to our Dockerfile: the node that runs this test with its shared
 * libraries, a shell, certificates, and with `npm` the machine's npm. No image can be pulled where the tests run.
 */
export function importNodeBase(engine: DockerEngine, name: string, { npm = false } = {}): Promise<string> {
  const certificates = 'etc/ssl/certs/ca-certificates.crt';
  const fill = async (root: string) => {
    await addProgram(root, process.execPath);
    await symlink('/bin/busybox', join(root, 'usr/bin/env'));
    await mkdir(join(root, dirname(certificates)), { recursive: true });
    await copyFile(join('/', certificates), join(root, certificates));
    if (!npm) return;
    const cli = await realpath((await run('sh', ['-c', 'command -v npm'])).stdout.trim());
    await cp(dirname(dirname(cli)), join(root, 'usr/lib/node_modules/npm'), { recursive: true });
    const launcher = '#!/bin/sh\nexec node /usr/lib/node_modules/npm/bin/npm-cli.js "$@"\n';
    await writeFile(join(root, 'usr/bin/npm'), launcher, { mode: 0o755 });
  };
  return importRoot(engine, name, fill, [
    'ENV PATH=/usr/bin:/bin',
    `ENV NODE_EXTRA_CA_CERTS=/${certificates}`,
    'CMD ["node"]',
  ]);
}

/**
 * Builds our Dockerfile, over `node:base`, as the image `registrator`. In the host's network, where the way out of the tests'
 * own is: the build's `npm ci` needs the registry as the person's own does.
 */
export async function buildImage(engine: DockerEngine, version = '0.0.0'): Promise<void> {
  await importNodeBase(engine, 'node:base');
  await importNodeBase(engine, 'node:npm', { npm: true });
  const ended = new AbortController();
  const values = {
    BASE: 'node:base',
    BUILD_BASE: 'node:npm',
    VERSION: version,
    HTTPS_PROXY: await outsideProxy(ended.signal),
  };
  const words = Object.entries(values).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await engine.docker('build', ...words, '--network', 'host', '-t', 'registrator', root).finally(() => ended.abort());
}

/** Makes an image of the machine's Consul, started as the official image is: `docker run <image> agent -dev`. */
export function importConsul(engine: DockerEngine, name: string): Promise<string> {
  return importRoot(engine, name, (root) => addProgram(root, '/usr/bin/consul'), ['ENTRYPOINT ["/usr/bin/consul"]']);
}

async function importRoot(
  engine: DockerEngine,
  name: string,
  fill: (root: string) => Promise<void>,
  changes: readonly string[],
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'registrator-image-'));
  try {
    const root = join(dir, 'root');
    await makeBusyboxRoot(root);
    await fill(root);
    await run('tar', ['-C', root, '-cf', join(dir, 'root.tar'), '.']);
    return await engine.importTar(await readFile(join(dir, 'root.tar')), name, changes);
  } finally {
    await rm(dir, { recursive: true });
  }
}
