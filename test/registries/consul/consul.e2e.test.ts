import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pMap from 'p-map';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createLogger } from '../../../src/lib/log/index.ts';

import { createRegistry, RefusedError, type Registry } from '../../../src/registries/index.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { ConsulServer } from '../../support/consul.ts';
import { eventually, eventuallyPasses } from '../../support/eventually.ts';
import { service } from '../../support/service.ts';
import { byKey, failuresOf } from '../entries.ts';

const owner = { host: 'node1', engine: 'ENGINE' };
const log = await createLogger('silent', 'json');
const { signal } = new AbortController();

let consul: ConsulServer;
let registry: Registry;

beforeAll(async () => {
  consul = await new ConsulServer({ config: { enable_script_checks: true } }).start();
});
afterAll(() => consul.dispose());

beforeEach(async () => {
  const agent = await consul.api<Record<string, unknown>>('GET', '/v1/agent/services');
  for (const id of Object.keys(agent))
    await consul.api('PUT', `/v1/agent/service/deregister/${encodeURIComponent(id)}`);
  registry = await createRegistry(`consul://${consul.address}`, { owner, env: {}, log });
  return () => registry.close();
});

const consulOf = async (address: string, lines: object[]) =>
  createRegistry(`consul://${address}`, {
    owner,
    env: {},
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });

const agentService = async (id: string) =>
  (await consul.api<Record<string, Record<string, unknown>>>('GET', '/v1/agent/services'))[id];
const agentChecks = async () =>
  Object.values(await consul.api<Record<string, Record<string, unknown>>>('GET', '/v1/agent/checks'));

describe('the Consul agent', () => {
  it('shows what was registered, with the owner mark', async () => {
    await registry.register([service({ tags: ['b', 'a'], meta: { region: 'eu' }, weight: 7 })], signal);
    expect(await agentService('node1:redis:6379')).toMatchObject({
      Service: 'redis',
      Tags: ['b', 'a'],
      Address: '10.0.0.1',
      Port: 32768,
      Weights: { Passing: 7, Warning: 1 },
      Meta: { region: 'eu', 'registrator-host': 'node1', 'registrator-engine': 'ENGINE' },
    });
  });

  it('gives back entries that equal what would be written, for every kind of check', async () => {
    const checks = [
      { type: 'http', url: 'http://10.0.0.1:80/', interval: '10s', method: 'HEAD', headers: { 'X-A': ['1'] } },
      { type: 'tcp', target: '10.0.0.1:80', interval: '10s', timeout: '1s' },
      { type: 'grpc', target: '10.0.0.1:80', useTls: true, interval: '10s', tlsSkipVerify: true },
      { type: 'ttl', ttl: '30s', deregisterAfter: '10m' },
      { type: 'docker', ttl: '60s' },
    ] as const;
    const services = checks.map((check) =>
      service({
        container: check.type,
        name: check.type,
        check,
        ...(check.type === 'docker' ? { health: { status: 'passing', output: 'ok' } } : {}),
      }),
    );
    for (const one of services) await registry.register([one], signal);
    const found = byKey(await registry.registered(signal));
    for (const one of services) expect(found.get(one.id)).toEqual(registry.entry(one));
    expect((await agentChecks()).length).toBe(5);
  });

  it('runs the checks and shows their state', async () => {
    await registry.register([service({ check: { type: 'tcp', target: consul.address, interval: '1s' } })], signal);
    await eventuallyPasses(async () => {
      expect(await agentChecks()).toMatchObject([{ ServiceID: 'node1:redis:6379', Status: 'passing' }]);
    });
  });

  it('runs a script check where the agent allows it, the words being its arguments', async () => {
    await registry.register(
      [service({ check: { type: 'script', args: ['sh', '-c', 'exit 1'], interval: '1s' } })],
      signal,
    );
    await eventuallyPasses(async () => expect(await agentChecks()).toMatchObject([{ Status: 'warning' }]));
  });

  it('a check that the agent does not take costs the check alone, and one warning names its setting', async () => {
    await using strict = await new ConsulServer({ config: { enable_script_checks: false } }).start();
    const lines: { msg: string }[] = [];
    const registry = await consulOf(strict.address, lines);
    const scripted = service({ check: { type: 'script', args: ['true'], interval: '10s' }, tags: ['a'] });
    await registry.connect(signal);
    for (let times = 0; times < 2; times++) await registry.register([scripted], signal);
    const [held] = Object.values(await strict.api<Record<string, object>>('GET', '/v1/agent/services'));
    expect(held).toMatchObject({ ID: scripted.id, Tags: ['a'], Address: '10.0.0.1', Port: 32768 });
    expect(await strict.api('GET', '/v1/agent/checks')).toEqual({});
    expect(lines.map(({ msg }) => msg)).toEqual([
      "Container redis: its service is registered without a check, which the agent does not take. Consul says «Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true». An agent runs scripts with enable_script_checks = true in its configuration.",
    ]);
    // It is right so, and not written again, until the agent has been away: then it may have another configuration.
    expect(await registry.registered(signal)).toEqual([registry.entry(scripted)]);
    await registry.connect(signal);
    const [entry] = await registry.registered(signal);
    expect(entry?.content).not.toBe(registry.entry(scripted).content);
    await registry.close();
  });

  it("shows Docker's health, as it changes, and keeps the check", async () => {
    const check = { type: 'docker', ttl: '60s' } as const;
    const healthy = service({ check, health: { status: 'passing', output: 'pong' } });
    await registry.register([healthy], signal);
    expect(await agentChecks()).toMatchObject([{ Status: 'passing' }]);
    await registry.refresh?.([{ ...healthy, health: { status: 'critical', output: 'no answer' } }], signal);
    expect(await agentChecks()).toMatchObject([{ Status: 'critical', Output: 'no answer' }]);
    const [entry] = await registry.registered(signal);
    expect(entry?.health).toBe('critical');
  });

  it('shows a paused container as critical and a resumed one as before', async () => {
    const running = service();
    const paused = { ...running, health: { status: 'critical', output: 'container is paused' } } as const;
    await registry.register([running], signal);
    await registry.refresh?.([paused], signal);
    expect(await agentChecks()).toMatchObject([
      { CheckID: '_service_maintenance:node1:redis:6379', Status: 'critical', Notes: 'container is paused' },
    ]);
    expect(await registry.registered(signal)).toEqual([registry.entry(paused)]);
    await registry.refresh?.([running], signal);
    expect(await agentChecks()).toEqual([]);
    expect(await registry.registered(signal)).toEqual([registry.entry(running)]);
  });

  it('keeps a paused container critical when the service is registered anew meanwhile', async () => {
    const paused = service({ health: { status: 'critical', output: 'container is paused' } });
    await registry.register([paused], signal);
    const changed = { ...paused, tags: ['new'] };
    await registry.register([changed], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(changed)]);
    await registry.register([service({ tags: ['new'] })], signal);
    expect(await registry.registered(signal)).toEqual([registry.entry(service({ tags: ['new'] }))]);
  });

  it('forgets a check that the service no longer asks for', async () => {
    await registry.register([service({ check: { type: 'ttl', ttl: '30s' } })], signal);
    await registry.register([service()], signal);
    expect(await agentChecks()).toEqual([]);
  });

  it('is told of nothing but its own: entries of others are not seen, changed or overwritten', async () => {
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'db', Name: 'db', Port: 1 });
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'node2:redis:6379', Name: 'redis', Port: 1 });
    expect(await registry.registered(signal)).toEqual([]);
    const failures = await failuresOf(registry.register([service({ id: 'db' })], signal));
    expect(failures.get('db')).toBeInstanceOf(RefusedError);
    expect(await agentService('db')).toMatchObject({ Service: 'db', Port: 1 });
  });

  it('many services at once, long after the last reading: what others hold stays, though few are looked at', async () => {
    const asked: string[] = [];
    const front = createServer((request, response) => {
      asked.push(`${request.method} ${request.url?.replace(/[?].*/, '')}`);
      const { method, headers } = request;
      const options = { host: '127.0.0.1', port: consul.httpPort, path: request.url, method, headers };
      request.pipe(
        forward(options, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        }),
      );
    });
    await once(front.listen(0, '127.0.0.1'), 'listening');
    const { port } = front.address() as AddressInfo;
    const one = await createRegistry(`consul://127.0.0.1:${port}`, { owner, env: {}, log });
    onTestFinished(async () => {
      await one.close();
      front.closeAllConnections();
      front.close();
    });
    const services = Array.from({ length: 500 }, (_, n) => service({ container: `many-${n}`, id: `many-${n}` }));
    const [foreign, other] = ['many-400', 'many-401'];
    await one.registered(signal);
    const read = performance.now();
    await consul.api('PUT', '/v1/agent/service/register', { ID: foreign, Name: 'theirs', Port: 1 });
    const Meta = { 'registrator-host': 'node2', 'registrator-engine': 'E2' };
    await consul.api('PUT', '/v1/agent/service/register', { ID: other, Name: 'theirs', Port: 2, Meta });
    await eventually(() => performance.now() - read > 1_000);

    const failures = new Map<string, Error>();
    await pMap(
      services,
      async (each) => {
        for (const [key, error] of await failuresOf(one.register([each], signal))) failures.set(key, error);
      },
      { concurrency: 48 },
    );
    expect([...failures.keys()].sort()).toEqual([foreign, other]);
    expect(await agentService(foreign)).toMatchObject({ Service: 'theirs', Port: 1, Meta: {} });
    expect(await agentService(other)).toMatchObject({ Service: 'theirs', Port: 2, Meta });
    expect(await one.registered(signal)).toHaveLength(498);
    expect(asked.filter((line) => line.startsWith('GET /v1/agent/service/')).length).toBeLessThan(120);
  });

  it('has entries of gliderlabs/registrator recognised as this host’s', async () => {
    await consul.api('PUT', '/v1/agent/service/register', { ID: 'node1:old:80', Name: 'old', Port: 1 });
    expect((await registry.registered(signal)).map(({ key }) => key)).toEqual(['node1:old:80']);
  });

  it('loses an entry when told, whatever its ID, and takes telling it twice', async () => {
    const odd = service({ id: 'a/b c?d#e%f&ü' });
    await registry.register([odd], signal);
    expect(await agentService(odd.id)).toBeDefined();
    await registry.deregister([registry.entry(odd)], signal);
    expect(await agentService(odd.id)).toBeUndefined();
    await registry.deregister([registry.entry(odd)], signal);
  });

  it('refuses with its own words, and only the service at fault', async () => {
    const bad = service({ container: 'bad', name: '' });
    const failures = await failuresOf(registry.register([bad, service()], signal));
    expect([...failures.keys()]).toEqual(['node1:bad:6379']);
    expect(failures.get('node1:bad:6379')).toBeInstanceOf(RefusedError);
    expect(failures.get('node1:bad:6379')?.message).toBe('Consul says «Missing service name».');
    expect(await agentService('node1:redis:6379')).toBeDefined();
  });

  it('is not sent metadata that it would refuse the service for', async () => {
    const meta = {
      'bad.key': 'x',
      long: 'x'.repeat(513),
      ...Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`k${n}`, 'v'])),
    };
    await registry.register([service({ meta })], signal);
    const { Meta } = (await agentService('node1:redis:6379')) as { Meta: Record<string, string> };
    expect(Object.keys(Meta).length).toBe(64);
    expect(Meta).not.toHaveProperty('long');
    expect(await registry.registered(signal)).toEqual([registry.entry(service({ meta }))]);
  });
});

describe('losing the agent', () => {
  it('is noticed at once when it goes', async () => {
    const own = await new ConsulServer().start();
    const other = await createRegistry(`consul://${own.address}`, { owner, env: {}, log });
    await other.connect(signal);
    const lost = other.lost?.(signal);
    await own.kill9();
    await expect(lost).resolves.toBe('the server closed the connection');
    await expect(other.connect(signal)).rejects.toThrow(/ECONNREFUSED/);
    await other.close();
    await own.dispose();
  });
});

describe('a Consul agent with ACLs', () => {
  let secured: ConsulServer;
  beforeAll(async () => {
    secured = await new ConsulServer({ acl: true }).start();
  });
  afterAll(() => secured.dispose());

  const open = (env: Record<string, string>) => createRegistry(`consul://${secured.address}`, { owner, env, log });

  it('takes the services that the token may write, and says which permission is missing for the others', async () => {
    const token = await secured.createToken('service_prefix "red" { policy = "write" }');
    const limited = await open({ CONSUL_HTTP_TOKEN: token });
    await limited.connect(signal);
    const services = [service(), service({ container: 'web', name: 'web' })];
    const failures = await failuresOf(limited.register(services, signal));
    expect([...failures.keys()]).toEqual(['node1:web:6379']);
    expect(failures.get('node1:web:6379')?.message).toBe(
      'Consul says «Permission denied: Missing service:write on web»: the token lacks service:write for "web". Set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to one that has it.',
    );
    expect((await limited.registered(signal)).map(({ key }) => key)).toEqual(['node1:redis:6379']);
    await limited.deregister([limited.entry(service())], signal);
    expect(await limited.registered(signal)).toEqual([]);
    await limited.close();
  });

  it('takes the token from a file', async () => {
    const file = join(secured.dir, 'token');
    writeFileSync(file, `${secured.token}\n`);
    const filed = await open({ CONSUL_HTTP_TOKEN_FILE: file });
    await filed.register([service()], signal);
    expect(await filed.registered(signal)).toHaveLength(1);
    await filed.close();
  });

  it('says that the token is unknown when it is', async () => {
    const wrong = await open({ CONSUL_HTTP_TOKEN: '00000000-dead-beef-0000-000000000000' });
    await expect(wrong.connect(signal)).rejects.toThrow(
      'Consul does not know the token: set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to a valid one.',
    );
    await wrong.close();
  });
});

describe('a Consul agent over', () => {
  it('TLS with client certificates takes only those that show one', async () => {
    const certificates = await makeCertificates();
    const own = await new ConsulServer({ tls: certificates }).start();
    const env = {
      CONSUL_CACERT: certificates.ca,
      CONSUL_CLIENT_CERT: certificates.clientCert,
      CONSUL_CLIENT_KEY: certificates.clientKey,
    };
    const uri = `consul-tls://127.0.0.1:${own.httpsPort}`;
    const known = await createRegistry(uri, { owner, env, log });
    await known.connect(signal);
    await known.register([service()], signal);
    expect(await known.registered(signal)).toHaveLength(1);
    const stranger = await createRegistry(uri, { owner, env: { CONSUL_CACERT: certificates.ca }, log });
    await expect(stranger.connect(signal)).rejects.toThrow(/certificate/i);
    const doubter = await createRegistry(uri, { owner, env: {}, log });
    await expect(doubter.connect(signal)).rejects.toThrow(/certificate/i);
    const trusting = await createRegistry(uri, {
      owner,
      env: { ...env, CONSUL_CACERT: '', CONSUL_HTTP_SSL_VERIFY: 'false' },
      log,
    });
    await trusting.connect(signal);
    for (const one of [known, stranger, doubter, trusting]) await one.close();
    await own.dispose();
  });

  it('a Unix socket', async () => {
    const unix = await createRegistry(`consul-unix://${consul.socket}`, { owner, env: {}, log });
    expect(unix.name).toBe(`consul-unix://${consul.socket}`);
    await unix.connect(signal);
    await unix.register([service()], signal);
    expect(await unix.registered(signal)).toHaveLength(1);
    await unix.close();
  });
});
