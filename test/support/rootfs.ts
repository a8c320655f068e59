import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A tar file of a root file system that holds a static busybox, and `/www/index.html` to serve. Made once a process. */
export function busyboxRootfs(): Promise<Buffer> {
  made ??= make();
  return made;
}
let made: Promise<Buffer> | undefined;

async function make(): Promise<Buffer> {
  const dir = await mkdtemp(join(tmpdir(), 'registrator-rootfs-'));
  try {
    await makeBusyboxRoot(join(dir, 'root'));
    await run('tar', ['-C', join(dir, 'root'), '-cf', join(dir, 'root.tar'), '.']);
    return await readFile(join(dir, 'root.tar'));
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Lays out the root file system in `root`. */
export async function makeBusyboxRoot(root: string): Promise<void> {
  for (const folder of ['bin', 'etc', 'proc', 'root', 'sys', 'dev', 'tmp', 'www']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  const { stdout } = await run('/bin/busybox', ['--list']);
  const applets = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  await run('sh', ['-c', 'for name; do ln -s busybox "$name"; done', 'sh', ...applets], { cwd: join(root, 'bin') });
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  await writeFile(join(root, 'www/index.html'), 'served\n');
}

/** Copies a program of this machine to `/usr/bin` of the root file system, with the shared libraries that it needs. */
export async function addProgram(root: string, file: string): Promise<void> {
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await copyFile(file, join(root, 'usr/bin', basename(file)));
  const { stdout } = await run('ldd', [file]);
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
}
