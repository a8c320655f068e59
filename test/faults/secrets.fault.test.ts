import { randomUUID } from 'node:crypto';
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.ts';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { type Registrator, runRegistrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { logged, soon, start } from './support.ts';

const PASSWORD = `p ${randomUUID()}`;
let consul: ConsulServer;
let etcd: EtcdServer;
let docker: SimulatedDocker;

beforeAll(async () => {
  [consul, etcd] = await Promise.all([new ConsulServer({ acl: true }).start(), new EtcdServer().start()]);
  await etcd.enableAuth('root', { name: 'registrator', password: PASSWORD, prefix: '/s/' });
  docker = await new SimulatedDocker().up();
  docker.run({ name: 'aa', publish: { '80/tcp': 0 } });
});
afterAll(async () => {
  await docker[Symbol.asyncDispose]();
  await Promise.all([consul.dispose(), etcd.dispose()]);
});

/** Only its owner may read it, and it ends in a newline, as an editor leaves it. */
function secretFile(content: string): string {
  const path = join(consul.dir, randomUUID());
  writeFileSync(path, `${content}\n`, { mode: 0o400 });
  return path;
}

const said = ({ stdout, stderr }: Registrator) => stdout + stderr;

describe('secrets named by *_FILE', () => {
  it('CONSUL_HTTP_TOKEN_FILE gives access, and its content is in no log line', async () => {
    const token = await consul.createToken('service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }');
    const env = { CONSUL_HTTP_TOKEN_FILE: secretFile(token) };
    await using registrator = start(docker.host, ['--log-level', 'trace', `consul://${consul.address}`], env);
    await soon(async () =>
      expect(Object.keys(await consul.api<object>('GET', '/v1/agent/services'))).toEqual(['simulated:aa:80']),
    );
    expect(await registrator.stop()).toBe(0);
    expect(said(registrator)).not.toContain(token);
  });

  it('a token that Consul does not know: told of without it', async () => {
    const token = randomUUID();
    const env = { CONSUL_HTTP_TOKEN_FILE: secretFile(token) };
    await using registrator = start(docker.host, ['--log-level', 'trace', `consul://${consul.address}`], env);
    const { err } = await logged(registrator, 'the registry does not answer');
    expect(err).toContain('Consul does not know the token');
    expect(await registrator.stop()).toBe(0);
    expect(said(registrator)).not.toContain(token);
  });

  it('ETCD_PASSWORD_FILE gives access, and its content is in no log line', async () => {
    const env = { ETCD_USERNAME: 'registrator', ETCD_PASSWORD_FILE: secretFile(PASSWORD) };
    await using registrator = start(docker.host, ['--log-level', 'trace', `etcd://${etcd.address}/s`], env);
    await soon(async () => expect([...(await etcd.list('/s/')).keys()]).toEqual(['/s/web/simulated:aa:80']));
    expect(await registrator.stop()).toBe(0);
    expect(said(registrator)).not.toContain(PASSWORD);
  });

  it.each([
    ['etcd', () => `etcd://registrator:wrong-password@${etcd.address}/s`, 'wrong-password'],
    ['Consul', () => `consul://:wrong-password@${consul.address}`, 'wrong-password'],
  ])('a password in the URI of %s is in no line either', async (_, uri, secret) => {
    await using registrator = start(docker.host, ['--log-level', 'trace', uri()]);
    await soon(() => expect(said(registrator)).not.toBe(''));
    await Promise.race([registrator.exited, logged(registrator, 'the registry does not answer')]);
    await registrator.stop();
    expect(said(registrator)).not.toContain(secret);
  });

  it('a file that is not there: exit 2 and one sentence', async () => {
    const env = { CONSUL_HTTP_TOKEN_FILE: '/nowhere/token' };
    const { code, stderr } = await runRegistrator(['consul://h'], { host: docker.host, env });
    expect([code, stderr]).toEqual([
      2,
      'registrator: The file that CONSUL_HTTP_TOKEN_FILE names cannot be read (ENOENT).\n',
    ]);
  });
});

describe('secrets and certificates that are replaced', () => {
  const agentServices = async () => Object.keys(await consul.api<object>('GET', '/v1/agent/services')).sort();

  it('a token: the next one in the file is used when Consul no longer takes the first', async () => {
    const rules = 'service_prefix "" { policy = "write" } node_prefix "" { policy = "read" }';
    const first = await consul.createToken(rules);
    const file = secretFile(first);
    await using _ = start(docker.host, [`consul://${consul.address}`], { CONSUL_HTTP_TOKEN_FILE: file });
    await soon(async () => expect(await agentServices()).toEqual(['simulated:aa:80']));
    const self = await consul.api<{ AccessorID: string }>('GET', '/v1/acl/token/self', undefined, first);
    await consul.api('DELETE', `/v1/acl/token/${self.AccessorID}`);
    docker.run({ name: 'bb', publish: { '80/tcp': 0 } });
    writeFileSync(file, await consul.createToken(rules));
    await soon(async () => expect(await agentServices()).toEqual(['simulated:aa:80', 'simulated:bb:80']));
    docker.remove('bb');
    await soon(async () => expect(await agentServices()).toEqual(['simulated:aa:80']));
  });

  it('a token that lacks a right: one that has it is used within a minute', async () => {
    const file = secretFile(await consul.createToken('node_prefix "" { policy = "read" }'));
    const env = { CONSUL_HTTP_TOKEN_FILE: file };
    docker.run({ name: 'cc', publish: { '80/tcp': 0 } });
    await using registrator = start(docker.host, [`consul://${consul.address}`], env);
    await logged(registrator, 'the registry refuses to register this service');
    writeFileSync(file, await consul.createToken('service_prefix "" { policy = "write" }'));
    await soon(async () => expect(await agentServices()).toContain('simulated:cc:80'));
    docker.remove('cc');
    await soon(async () => expect(await agentServices()).not.toContain('simulated:cc:80'));
  }, 90_000);

  it('a token that lacks a right on keys, likewise', async () => {
    const file = secretFile(await consul.createToken('key_prefix "" { policy = "read" }'));
    const env = { CONSUL_HTTP_TOKEN_FILE: file };
    await using registrator = start(docker.host, [`consulkv://${consul.address}/s`], env);
    await logged(registrator, 'the registry refuses to register this service');
    writeFileSync(file, await consul.createToken('key_prefix "s/" { policy = "write" }'));
    await soon(async () => expect(await consul.api('GET', '/v1/kv/s?keys')).toEqual(['s/web/simulated:aa:80']));
  }, 90_000);

  it('a password of etcd', async () => {
    const file = secretFile(PASSWORD);
    const env = { ETCD_USERNAME: 'registrator', ETCD_PASSWORD_FILE: file };
    await using _ = start(docker.host, [`etcd://${etcd.address}/s`], env);
    const keys = async () => [...(await etcd.list('/s/')).keys()];
    await soon(async () => expect(await keys()).toEqual(['/s/web/simulated:aa:80']));
    const next = `q ${randomUUID()}`;
    await etcd.ctl('user', 'delete', 'registrator');
    await etcd.ctl('user', 'add', `registrator:${next}`);
    await etcd.ctl('user', 'grant-role', 'registrator', 'registrator');
    writeFileSync(file, next);
    docker.run({ name: 'bb', publish: { '80/tcp': 0 } });
    await soon(async () => expect(await keys()).toEqual(['/s/web/simulated:aa:80', '/s/web/simulated:bb:80']));
    docker.remove('bb');
  });

  it('authority, certificate and key, with those of the server', async () => {
    await using certificates = await makeCertificates();
    await using secure = await new ConsulServer({ tls: certificates }).start();
    const env = {
      CONSUL_CACERT: certificates.ca,
      CONSUL_CLIENT_CERT: certificates.clientCert,
      CONSUL_CLIENT_KEY: certificates.clientKey,
    };
    await using _ = start(docker.host, [`consul-tls://127.0.0.1:${secure.httpsPort}`], env);
    const held = async () => Object.keys(await secure.api<object>('GET', '/v1/agent/services')).sort();
    await soon(async () => expect(await held()).toEqual(['simulated:aa:80']));
    await using others = await makeCertificates();
    for (const file of readdirSync(others.dir)) copyFileSync(join(others.dir, file), join(certificates.dir, file));
    await secure.kill9();
    await secure.start();
    docker.run({ name: 'bb', publish: { '80/tcp': 0 } });
    await soon(async () => expect(await held()).toEqual(['simulated:aa:80', 'simulated:bb:80']));
    docker.remove('bb');
  });
});
