import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { rfc2136Target } from '../../../src/registries/rfc2136/uri.ts';

const dir = mkdtempSync(join(tmpdir(), 'registrator-rfc2136-uri-'));
afterAll(() => rmSync(dir, { recursive: true }));

const KEY = { RFC2136_TSIG_KEYNAME: 'Registrator.', RFC2136_TSIG_SECRET: 'c2VjcmV0' };

describe('the rfc2136 URI', () => {
  it.each([
    ['rfc2136://ns1/services.example', 'rfc2136://ns1:53/services.example'],
    ['rfc2136://ns1:5353/Services.Example./', 'rfc2136://ns1:5353/services.example'],
    ['rfc2136://ns1,ns2:54,[2001:db8::1]/z', 'rfc2136://ns1:53,ns2:54,[2001:db8::1]:53/z'],
    ['rfc2136:///_dyn.example', 'rfc2136://127.0.0.1:53/_dyn.example'],
  ])('%s is %s', (uri, name) => {
    expect(rfc2136Target(uri, KEY).name).toBe(name);
  });

  it.each([
    ['', 10, false],
    ['?ttl=0', 0, false],
    ['?tags=1&ttl=86400', 86_400, true],
    ['?tags=0', 10, false],
  ])('%j asks for a TTL of %i seconds, and names of tags: %s', (query, ttl, tags) => {
    expect(rfc2136Target(`rfc2136://ns1/z${query}`, KEY)).toMatchObject({ ttl, tags });
  });

  it.each([
    ['rfc2136://ns1', 'names no DNS zone'],
    ['rfc2136://ns1/', 'names no DNS zone'],
    ['rfc2136://ns1/a..b', 'names no DNS zone'],
    ['rfc2136://ns1/a/b', 'names no DNS zone'],
    [`rfc2136://ns1/${'x'.repeat(64)}`, 'names no DNS zone'],
    ['rfc2136://ns1:0/z', 'servers'],
    ['rfc2136://ns1:65536/z', 'servers'],
    ['rfc2136://ns1,,ns2/z', 'servers'],
    ['rfc2136://ns1/z?ttl=-1', 'number of seconds'],
    ['rfc2136://ns1/z?ttl=86401', 'number of seconds'],
    ['rfc2136://ns1/z?tags=yes', 'tags=1'],
    ['rfc2136://ns1/z?keyname=k', 'nothing else'],
  ])('%s is refused: %s', (uri, words) => {
    expect(() => rfc2136Target(uri, KEY)).toThrow(words);
  });

  it('any text is read, or refused with a sentence', () => {
    const anything = fc.oneof(fc.string(), fc.stringMatching(/^rfc2136:\/\/[a-z0-9.,:[\]/?=&@-]*$/));
    fc.assert(
      fc.property(anything, (uri) => {
        try {
          expect(rfc2136Target(uri, KEY).servers.length).toBeGreaterThan(0);
        } catch (error) {
          expect((error as Error).message).toMatch(/^(The|After).*rfc2136 URI .*\.$/);
        }
      }),
    );
  });
});

describe('the key', () => {
  const key = (env: Record<string, string>) => rfc2136Target('rfc2136://ns1/z', env).key();

  it('is signed with by SHA-256, unless another algorithm is asked for', async () => {
    const secret = Buffer.from('secret');
    expect(await key(KEY)).toEqual({ name: 'registrator', algorithm: 'hmac-sha256', secret });
    const other = { ...KEY, RFC2136_TSIG_ALGORITHM: 'HMAC-SHA512.' };
    expect(await key(other)).toEqual({ name: 'registrator', algorithm: 'hmac-sha512', secret });
  });

  it('is read from the file each time, as it may be replaced', async () => {
    const file = join(dir, 'secret');
    writeFileSync(file, 'c2VjcmV0\n');
    const target = rfc2136Target('rfc2136://ns1/z', { RFC2136_TSIG_KEYNAME: 'k', RFC2136_TSIG_SECRET_FILE: file });
    expect((await target.key())?.secret.toString()).toBe('secret');
    writeFileSync(file, 'YW5vdGhlcg==\n');
    expect((await target.key())?.secret.toString()).toBe('another');
    rmSync(file);
    await expect(target.key()).rejects.toThrow('RFC2136_TSIG_SECRET_FILE names cannot be read (ENOENT)');
  });

  it('is left out with RFC2136_INSECURE=1 only', async () => {
    expect(await key({ RFC2136_INSECURE: '1' })).toBeUndefined();
    expect(() => key({})).toThrow('DNS updates are signed: set RFC2136_TSIG_KEYNAME');
    expect(() => key({ RFC2136_TSIG_KEYNAME: 'k' })).toThrow('DNS updates are signed');
    expect(() => key({ ...KEY, RFC2136_INSECURE: '1' })).toThrow('unset the one or the other');
  });

  it.each([
    [{ RFC2136_TSIG_SECRET: 'no base64!' }, 'RFC2136_TSIG_SECRET holds no base64'],
    [{ RFC2136_TSIG_ALGORITHM: 'hmac-md5' }, 'hmac-sha256, hmac-sha384, hmac-sha512'],
    [{ RFC2136_TSIG_KEYNAME: 'a key' }, 'RFC2136_TSIG_KEYNAME is no DNS name'],
  ])('%j is refused: %s', (change, words) => {
    expect(() => key({ ...KEY, ...change })).toThrow(words);
  });
});
