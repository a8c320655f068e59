import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/cli/version.ts';
import { DockerEngine } from '../support/engine.ts';
import { freePort } from '../support/ports.ts';
import { Registrator, runRegistrator } from '../support/registrator.ts';

const nowhere = 'unix:///nowhere/docker.sock';

describe('registrator, started wrongly, exits 2 with one sentence and starts nothing', () => {
  it.each([
    [['nonsense://x'], 'There is no registry "nonsense"'],
    [['localhost:8500'], 'There is no registry "localhost"'],
    [['just-words'], 'has no scheme'],
    [['consul://a b'], 'that is no host:port'],
    [['consul://user:secret@host:8500'], 'give it by CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE instead'],
    [['consul-unix://relative'], 'names no socket'],
    [['memory://127.0.0.1:99999'], 'port'],
    [['-ttl-refresh', '10', 'consul://h'], '--ttl-refresh renews'],
    [['--tags', '{{ nope', 'consul://h'], '--tags does not parse'],
    [['-ip', 'here', 'consul://h'], 'IPv4 or IPv6 address'],
  ])('%j', async (args, words) => {
    const { code, stdout, stderr } = await runRegistrator(args, { host: nowhere });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('secret');
  });

  it('a certificate that cannot be read', async () => {
    const env = { CONSUL_CACERT: '/nowhere/ca.pem' };
    const { code, stderr } = await runRegistrator(['consul-tls://h:8501'], { host: nowhere, env });
    expect([code, stderr]).toEqual([2, 'registrator: The file that CONSUL_CACERT names cannot be read (ENOENT).\n']);
  });

  it('a DOCKER_HOST that is none', async () => {
    const { code, stderr } = await runRegistrator([], { host: 'ftp://x' });
    expect([code, stderr]).toEqual([
      2,
      'registrator: DOCKER_HOST must begin with unix://, tcp://, ssh:// or npipe://.\n',
    ]);
  });
});

describe('registrator', () => {
  let engine: DockerEngine;
  beforeAll(async () => {
    engine = await new DockerEngine().start();
  });
  afterAll(() => engine.dispose());

  it('prints its version', async () => {
    expect(await runRegistrator(['-version'])).toEqual({ code: 0, stdout: `${version()}\n`, stderr: '' });
  });

  it('teaches with --help: every flag, the default, examples', async () => {
    const { code, stdout } = await runRegistrator(['--help']);
    expect(code).toBe(0);
    for (const words of [
      '--ip <address>',
      '--internal',
      '--ttl-refresh',
      'memory://',
      'REGISTRATOR_TTL_REFRESH',
      'dig @127.0.0.1',
    ]) {
      expect(stdout).toContain(words);
    }
  });

  it('names the port that the catalogue cannot have, and exits 1', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((listening) => squatter.once('listening', listening));
    const { port } = squatter.address() as { port: number };
    const registrator = new Registrator([`memory://127.0.0.1:${port}?dns=0`], { host: engine.host });
    expect(await registrator.exited).toBe(1);
    expect(registrator.stdout).toMatch(new RegExp(`${port}.*taken`));
    squatter.close();
  });

  it('gives up on a registry after --retry-attempts, with exit code 1, and not before', async () => {
    const port = await freePort();
    const args = ['-retry-attempts', '2', '-retry-interval', '10', `consul://127.0.0.1:${port}`];
    const registrator = new Registrator(args, { host: engine.host });
    expect(await registrator.exited).toBe(1);
    expect(registrator.stdout).toContain('registrator cannot go on');
  });

  it('waits for a Docker that is not there yet, says so once, and stops at once when told', async () => {
    const registrator = new Registrator(['memory://127.0.0.1:0?dns=0'], { host: nowhere });
    await registrator.waitForLog('Docker does not answer');
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await registrator.stop()).toBe(0);
    expect(registrator.lines.filter(({ msg }) => msg?.includes('Docker does not answer'))).toHaveLength(1);
  });

  it('never logs a token', async () => {
    const env = { CONSUL_HTTP_TOKEN: 'c0ffee-secret' };
    const args = [
      '--log-level',
      'trace',
      '-retry-attempts',
      '1',
      '-retry-interval',
      '10',
      `consul://127.0.0.1:${await freePort()}`,
    ];
    const registrator = new Registrator(args, { host: engine.host, env });
    await registrator.exited;
    expect(registrator.stdout + registrator.stderr).not.toContain('c0ffee');
  });

  it('writes JSON lines where no person reads, and lines for people when asked', async () => {
    const json = new Registrator(['memory://127.0.0.1:0?dns=0'], { host: engine.host });
    const line = await json.waitForLog('looked at every container');
    expect(line).toMatchObject({ level: 'info', services: 0 });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT/);
    await json.stop();
    const human = new Registrator(['--log-format', 'human', 'memory://127.0.0.1:0?dns=0'], { host: engine.host });
    await human.waitForLog(/INFO.*looked at every container/);
    expect(await human.stop()).toBe(0);
  });
});
