import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot } from './own-network.ts';

/** What a test file needs that a person without root may lack, by what it imports. */
const NEEDS: readonly (readonly [support: RegExp, is: boolean, lack: string])[] = [
  [/\/(engine|podman)\.ts'/, isRoot, 'root, to start an engine'],
  [/\/(consul|registry-places)\.ts'/, has('consul'), 'consul'],
  [/\/(etcd|registry-places)\.ts'/, has('etcd'), 'etcd'],
  [/\/(zookeeper|registry-places)\.ts'/, existsSync('/usr/share/java/zookeeper.jar'), 'ZooKeeper'],
  [/\/(bind|registry-places)\.ts'/, has('named'), 'BIND'],
  [/\/knot\.ts'/, has('knotd'), 'Knot'],
  [/\/(dig|dns-server)\.ts'/, has('dig'), 'dig'],
  [/playwright-core'/, has('chromium'), 'Chromium'],
];

/**
 * The end-to-end test files that cannot run for this user, with a line for each that says what it lacks. None for root,
 * for whom install.sh has installed everything, and none on CI: what is missing there is a failure.
 */
export function leftOut(): string[] {
  if (isRoot || process.env.CI === 'true') return [];
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).map((file) => join('test', file));
  return files.filter((file) => {
    if (!/\.(e2e|fault)\.test\.ts$/.test(file)) return false;
    const text = readFileSync(file, 'utf8');
    const lacks = NEEDS.filter(([support, is]) => !is && support.test(text)).map(([, , lack]) => lack);
    if (lacks.length > 0) process.stderr.write(`left out: ${file}, which needs ${lacks.join(', and ')}\n`);
    return lacks.length > 0;
  });
}

function has(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}
