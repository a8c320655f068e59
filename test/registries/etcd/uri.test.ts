import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { etcdTarget } from '../../../src/registries/etcd/uri.ts';

const dir = mkdtempSync(join(tmpdir(), 'registrator-etcd-uri-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('the etcd URI', () => {
  it.each([
    ['etcd://', ['127.0.0.1:2379']],
    ['etcd:///services', ['127.0.0.1:2379']],
    ['etcd://h1', ['h1:2379']],
    ['etcd://h1,h2,h3:4001/services', ['h1:4001', 'h2:4001', 'h3:4001']],
    ['etcd://h1:1,h2:2,h3:3/services', ['h1:1', 'h2:2', 'h3:3']],
    ['etcd://h1:1,h2/services', ['h1:1', 'h2:2379']],
    ['etcd://[::1]:4001,[fe80::1]', ['[::1]:4001', '[fe80::1]:2379']],
    ['etcd://h1,h1:2379', ['h1:2379']],
    ['ETCD+TLS://h1', ['h1:2379']],
  ])('%s means the endpoints %j', async (uri, endpoints) => {
    expect((await etcdTarget(uri, {})).endpoints).toEqual(endpoints);
  });

  it.each([
    ['etcd://h', []],
    ['etcd://h/', []],
    ['etcd://h/a/b', ['a', 'b']],
    ['etcd://h//a//b/', ['a', 'b']],
    ['etcd://h/a%20b', ['a b']],
  ])('%s means the path %j', async (uri, path) => {
    expect((await etcdTarget(uri, {})).path).toEqual(path);
  });

  it.each([
    'etcd:/h',
    'etcd://h:0',
    'etcd://h:65536',
    'etcd://h:x',
    'etcd://h,,h',
    'etcd://::1',
    'etcd://h/../x',
    'etcd://h/%2e%2e/x',
    'etcd://h/a%2Fb',
    'etcd://h/%zz',
    'etcd://h/a#b',
    'etcd://h /a',
  ])('%s is refused with one sentence', async (uri) => {
    await expect(etcdTarget(uri, {})).rejects.toThrow(/^The (\w+ of the )?\w+.* URI .*\.$/);
  });

  it.each(['etcd+tls://h', 'etcd-legacy+tls://h', 'skydns2+tls://h/example', 'coredns+tls://h/example'])(
    '%s means TLS, by the certificates of the environment',
    async (uri) => {
      const pem = join(dir, 'ca.pem');
      writeFileSync(pem, 'PEM');
      expect((await etcdTarget(uri, { ETCD_CACERT: pem })).tls?.()).toEqual({ ca: Buffer.from('PEM') });
      expect((await etcdTarget(uri.replace('+tls', ''), { ETCD_CACERT: pem })).tls).toBeUndefined();
    },
  );

  it('goes with the environment variables of fayrus/registrator', async () => {
    const pem = join(dir, 'pem');
    writeFileSync(pem, 'PEM');
    const env = { ETCD_ENDPOINTS: 'h2:2,http://h3:3', ETCD_CA_CERT_FILE: pem, ETCD_CERT_FILE: pem, ETCD_KEY_FILE: pem };
    const { endpoints, tls } = await etcdTarget('etcd2://h1:1', env);
    expect(endpoints).toEqual(['h1:1', 'h2:2', 'h3:3']);
    expect(tls?.()).toEqual({ ca: Buffer.from('PEM'), cert: Buffer.from('PEM'), key: Buffer.from('PEM') });
    expect((await etcdTarget('etcd://h1:1', { ETCD_CERT: pem, ETCD_KEY: pem })).tls).toBeUndefined();
  });

  it('takes user, password and certificates from the environment, the files read at each use', async () => {
    const file = join(dir, 'password');
    writeFileSync(file, 'one\n');
    const { credentials } = await etcdTarget('etcd://h', { ETCD_USERNAME: 'u', ETCD_PASSWORD_FILE: file });
    expect(await credentials?.password()).toBe('one');
    writeFileSync(file, 'two\n');
    expect(await credentials?.password()).toBe('two');
    const env = { ETCD_CACERT: file, ETCD_CERT: file, ETCD_KEY: file };
    const { tls } = await etcdTarget('etcd+tls://h', env);
    expect(tls?.()).toEqual({ ca: Buffer.from('two\n'), cert: Buffer.from('two\n'), key: Buffer.from('two\n') });
    writeFileSync(file, 'three\n');
    expect(tls?.()).toMatchObject({ key: Buffer.from('three\n') });
    expect((await etcdTarget('etcd://h', env)).tls).toBeUndefined();
  });

  it.each([
    ['etcd://h', { ETCD_USERNAME: 'u' }, /no password: set ETCD_PASSWORD or ETCD_PASSWORD_FILE/],
    ['etcd+tls://h', { ETCD_CERT: '/x' }, 'ETCD_CERT and ETCD_KEY go together: set both, or neither.'],
    [
      'etcd+tls://h',
      { ETCD_CACERT: '/nowhere' },
      'The file that ETCD_CACERT names cannot be read (ENOENT): check the path.',
    ],
  ])('%s with %j says what is wrong', async (uri, env, message) => {
    await expect(etcdTarget(uri, env)).rejects.toThrow(message);
  });
});
