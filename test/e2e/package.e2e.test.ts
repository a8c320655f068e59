import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/cli/version.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { importGoldenImages } from '../support/images.ts';
import { isInOwnNetwork, outsideProxy } from '../support/own-network.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'registrator-package-'));
/** A project in which the packed file is installed, and nothing that it does not ask for. */
const project = join(dir, 'project');
let files: string[];

const run = async (file: string, args: string[], cwd = project) =>
  (await promisify(execFile)(file, args, { cwd, env: { PATH: process.env.PATH, HOME: dir } })).stdout;

beforeAll(async () => {
  const source = join(dir, 'source');
  mkdirSync(source);
  for (const name of [
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts',
    'src',
    'docs',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
  ]) {
    cpSync(join(root, name), join(source, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
  const [packed] = JSON.parse(await run('npm', ['pack', '--json', '--silent'], source));
  files = packed.files.map(({ path }: { path: string }) => path);

  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  // With the person's own settings, since it asks the registry for what the package depends on.
  const install = ['install', '--ignore-scripts', '--prefer-offline', join(source, packed.filename)];
  const proxied = new AbortController();
  const proxy = isInOwnNetwork ? { HTTPS_PROXY: await outsideProxy(proxied.signal) } : {};
  await promisify(execFile)('npm', install, { cwd: project, env: { ...process.env, ...proxy } }).finally(() =>
    proxied.abort(),
  );
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the package', () => {
  it('holds what is built, with types, and nothing of the tests', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        'dist/cli.js',
        'dist/index.js',
        'dist/index.d.ts',
        'dist/registry-kit.js',
        'dist/registries/registry-kit.d.ts',
        'README.md',
        'LICENSE',
        'docs/flags.md',
      ]),
    );
    expect(files.filter((path) => /^(src|test|bench)\//.test(path))).toEqual([]);
  });

  it('brings nothing that runs a script when it is installed, and no package that is in its bundle', () => {
    const lock = JSON.parse(readFileSync(join(project, 'package-lock.json'), 'utf8'));
    const installed: [string, { hasInstallScript?: boolean }][] = Object.entries(lock.packages);
    expect(installed.filter(([, { hasInstallScript = false }]) => hasInstallScript)).toEqual([]);
    expect(lock.packages['node_modules/registrator'].dependencies).toEqual({ pino: expect.any(String) });
    const names = installed.map(([path]) => path.replace(/^node_modules\//, ''));
    expect(names).toEqual(expect.not.arrayContaining(['dockerode', 'axios', 'undici']));
    // And who works on it: what has such a script is a tool.
    const own = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    const scripted = Object.entries<{ hasInstallScript?: boolean; dev?: boolean }>(own.packages);
    expect(scripted.filter(([, { hasInstallScript = false, dev = false }]) => hasInstallScript && !dev)).toEqual([]);
  });

  it('has a command that npx runs', async () => {
    expect(await run('npx', ['--no-install', 'registrator', '--version'])).toBe(`${version()}\n`);
  });

  it('has types that a project can use', async () => {
    writeFileSync(
      join(project, 'typed.ts'),
      `import { defineRegistry, type Registry, Registrator, createLogger, type Status } from 'registrator';
       const log = await createLogger('silent', 'json');
       const registrator: Registrator = new Registrator({ registries: ['memory://'], ip: '10.0.0.1' }, {}, log);
       const status: Status = registrator.status;
       export const plugin = defineRegistry({ scheme: 'x', factory: async (uri, { owner }): Promise<Registry> => { throw new Error(uri + owner.host + status); } });
       // @ts-expect-error a registry needs a factory
       defineRegistry({ scheme: 'x' });`,
    );
    const flags = [
      '--noEmit',
      '--strict',
      '--target',
      'es2024',
      '--module',
      'nodenext',
      '--skipLibCheck',
      '--typeRoots',
      join(root, 'node_modules/@types'),
      '--types',
      'node',
    ];
    await run(join(root, 'node_modules/.bin/tsc'), [...flags, 'typed.ts']);
  });

  it('has a kit by which a registry outside of it is built and passes the suite', async () => {
    cpSync(join(root, 'examples'), project, { recursive: true });
    // What such a project develops with.
    for (const name of ['@types', 'vitest', 'undici-types'])
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    const flags = ['--noEmit', '--strict', '--target', 'es2024', '--module', 'nodenext', '--skipLibCheck'];
    const tsc = join(root, 'node_modules/.bin/tsc');
    await run(tsc, [
      ...flags,
      '--types',
      'node',
      '--allowImportingTsExtensions',
      ...readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts')),
    ]);
    const ran = await run(join(root, 'node_modules/.bin/vitest'), ['run', '--root', project]);
    expect(ran).toMatch(/Tests .*\d+ passed/);
  });
});

describe('in a real engine', () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await new DockerEngine().start();
    await importGoldenImages(engine);
  });
  afterAll(() => engine.dispose());

  it("registers with somebody else's registry, which --plugin loads", async () => {
    const store = join(dir, 'store');
    mkdirSync(store);
    writeFileSync(join(project, 'my-registry.js'), PLUGIN);
    const script = join(project, 'node_modules/registrator/dist/cli.js');
    const args = ['-ip', '10.9.8.7', '--plugin', join(project, 'my-registry.js'), `files://${store}`];
    await using registrator = new Registrator(args, { host: engine.host, script });
    await engine.run('--name', 'cache', '-p', `${await freePort()}:6379`, 'redis');
    await engine.run('--name', 'refused', '-p', `${await freePort()}:6379`, '-l', 'SERVICE_NAME=bad', 'redis');
    await eventuallyPasses(() => expect(readdirSync(store)).toEqual([expect.stringMatching(/:cache:6379$/)]));
    // The plugin's RefusedError is the program's own: it is told of as one.
    await registrator.waitForLog('the registry refuses to register this service');
    await engine.docker('stop', 'cache');
    await eventuallyPasses(() => expect(readdirSync(store)).toEqual([]));
    expect(await registrator.stop()).toBe(0);
  });

  it('works as a library', async () => {
    writeFileSync(
      join(project, 'library.js'),
      `import { createLogger, Registrator } from 'registrator';
       const log = await createLogger('info', 'json');
       const registrator = new Registrator({ registries: ['memory://127.0.0.1:0?dns=off'], ip: '10.9.8.7' }, process.env, log);
       process.once('SIGTERM', () => registrator.stop());
       await registrator.run();
       log.info({ status: registrator.status }, 'ended');`,
    );
    await using library = new Registrator([], { host: engine.host, script: join(project, 'library.js') });
    await library.waitForLog('looked at every container');
    await engine.run('--name', 'used', '-p', `${await freePort()}:6379`, 'redis');
    await library.waitForLog(({ msg, container }) => msg === 'registered' && container === 'used');
    expect(await library.stop()).toBe(0);
    expect(library.lines.at(-1)).toMatchObject({ msg: 'ended', status: { docker: { complete: true } } });
  });
});

const PLUGIN = `
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineRegistry, isOwnId, RefusedError } from 'registrator';

export default defineRegistry({
  scheme: 'files',
  factory: async (uri, { owner }) => {
    const folder = uri.slice('files://'.length);
    const entry = ({ id, name, address, port }) => ({ key: id, content: \`\${address}:\${port}\`, id, name, address, port });
    return {
      name: uri,
      batchSize: 1,
      connect: async () => {},
      entry,
      register: async ([service]) => {
        if (service.name === 'bad') throw new RefusedError('no');
        await writeFile(join(folder, service.id), entry(service).content);
      },
      deregister: async ([{ key }]) => rm(join(folder, key), { force: true }),
      registered: async () =>
        (await readdir(folder)).filter((id) => isOwnId(owner.host, id)).map((id) => entry({ id, name: id, address: '', port: 0 })),
      close: async () => {},
    };
  },
});
`;
