// Builds dist/: types by tsc; the program and the library as one bundle each, whose parts load when they are needed.
// A bundle because loading the dependencies file by file took most of the start, and most of the image.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, rmSync } from 'node:fs';
import { build } from 'esbuild';
import { parts } from './bundle-parts.js';

rmSync('dist', { recursive: true, force: true });
// The image has no use for types.
if (!process.argv.includes('--no-types')) execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });

// Dependencies that are CommonJS look for these.
const commonJs = [
  "import { createRequire as createRequireForBundle } from 'node:module';",
  "import { fileURLToPath as fileUrlToPathForBundle } from 'node:url';",
  'const require = createRequireForBundle(import.meta.url);',
  'const __filename = fileUrlToPathForBundle(import.meta.url);',
  "const __dirname = fileUrlToPathForBundle(new URL('.', import.meta.url));",
].join('\n');

await build({
  entryPoints: { cli: 'src/cli/main.ts', index: 'src/index.ts', 'registry-kit': 'src/registries/registry-kit.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  minifyWhitespace: true,
  minifySyntax: true,
  // The licences of what is inside, beside it.
  legalComments: 'linked',
  banner: { js: commonJs },
  plugins: parts,
  logLevel: 'warning',
});
await build({
  entryPoints: { re2js: 're2js' },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node22.12',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'linked',
  logLevel: 'warning',
});
cpSync('src/catalogue/page/static', 'dist/static', { recursive: true });
chmodSync('dist/cli.js', 0o755);
