// `npm pack` takes package.json as `prepack` leaves it here, and `postpack` brings back the one that was. All that runs is
// in the bundle, so that who installs the package gets no other, and no install script: only the types name one.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

/** Named by dist/index.d.ts and what that names. */
const NEEDED_BY_TYPES = ['pino'];
const KEPT = 'package.json.orig';

if (process.argv[2] === 'restore') {
  renameSync(KEPT, 'package.json');
} else {
  const text = readFileSync('package.json', 'utf8');
  const { scripts: _, devDependencies: __, overrides: ___, dependencies, ...rest } = JSON.parse(text);
  const needed = Object.fromEntries(NEEDED_BY_TYPES.map((name) => [name, dependencies[name]]));
  writeFileSync(KEPT, text);
  writeFileSync('package.json', `${JSON.stringify({ ...rest, dependencies: needed }, null, 2)}\n`);
}
