import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { docCommands, docScript } from '../support/doc-blocks.ts';
import { DockerEngine, webServer } from '../support/engine.ts';
import { importGoldenImages } from '../support/images.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (page: string) => readFileSync(join(root, page), 'utf8');
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
  .filter((page) => page.endsWith('.md'))
  .filter((page) => docCommands(read(page)).length > 0);

describe('every sh block of the README and docs does what it says, on a host where the usual ports are free', () => {
  let engine: DockerEngine;
  let bin: string;
  beforeAll(async () => {
    engine = await new DockerEngine({ ownNetwork: true }).start();
    await importGoldenImages(engine);
    await engine.importImage('acme/api:latest', { expose: [8080] });
    for (const tag of [1, 2]) {
      await engine.importImage(`acme/web:${tag}`, {
        expose: [80],
        cmd: webServer(80),
        healthcheck: '--interval=1s CMD wget -q -O /dev/null http://127.0.0.1/',
      });
    }
    // Without a route outward the host would have no address to register.
    await engine.inNetwork('ip', 'route', 'add', 'default', 'dev', engine.bridge);
    // Swarm asks a registry for images that are here: it is to hear at once that there is none.
    for (const [, server = ''] of readFileSync('/etc/resolv.conf', 'utf8').matchAll(/^nameserver ([\d.]+)$/gm))
      await engine.inNetwork('ip', 'route', 'add', 'unreachable', server);
    symlinkSync(join(root, 'examples'), join(engine.dir, 'examples'));
    bin = join(engine.dir, 'bin');
    mkdirSync(bin);
    const program = `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'src/cli/main.ts')}" "$@"\n`;
    writeFileSync(join(bin, 'registrator'), program, { mode: 0o755 });
  });
  afterAll(() => engine.dispose());
  afterEach(() => engine.removeContainers());

  it('and there are some', () => expect(pages).toContain('docs/running.md'));

  it.each(pages)('%s', async (page) => {
    // With a name server that is silent, every start would wait for it: here there is none.
    const script = `mount --bind /dev/null /etc/resolv.conf\n${docScript(docCommands(read(page)))}`;
    const { PATH = '' } = process.env;
    const env = { PATH: `${bin}:${PATH}:/usr/sbin:/sbin`, HOME: engine.dir, DOCKER_HOST: engine.host };
    const inside = [`--net=/run/netns/${engine.network}`, 'unshare', '--mount', 'bash', '-c', script];
    await promisify(execFile)('nsenter', inside, { env, cwd: engine.dir, timeout: 50_000 }).catch((error) => {
      throw new Error(`${page}, ${String(error.stderr).slice(-3_000)}`);
    });
  });
});

it('no page links to a file that is not there', () => {
  const all = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
  const broken = all
    .filter((page) => page.endsWith('.md'))
    .flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => join(dirname(page), target))
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${page}: ${target}`),
    );
  expect(broken).toEqual([]);
});

describe('docs/flags.md', () => {
  it('has every flag and no other', () => {
    const program = createProgram('0');
    const known = [program, ...program.commands].flatMap(({ options }) => options.map(({ long }) => long ?? ''));
    const written = read('docs/flags.md').match(/`--[a-z-]+/g) ?? [];
    expect([...new Set(written.map((flag) => flag.slice(1)))].sort()).toEqual(
      [...new Set([...known, '--help'])].sort(),
    );
  });
});
