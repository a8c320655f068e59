import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConsulUri } from '../../../src/registries/consul/client.ts';

describe('the Consul that a URI means', () => {
  it.each([
    ['consul://', {}, { host: '127.0.0.1:8500', secure: false, path: '' }],
    ['consul:', {}, { host: '127.0.0.1:8500', secure: false, path: '' }],
    ['consul://h', {}, { host: 'h:8500', secure: false, path: '' }],
    ['consul://h:80', {}, { host: 'h:80', secure: false, path: '' }],
    ['consul://[2001:db8::1]:8501', {}, { host: '[2001:db8::1]:8501', secure: false, path: '' }],
    ['consul-tls://h:8501', {}, { host: 'h:8501', secure: true, path: '' }],
    ['consulkv://h:8500/some/prefix/', {}, { host: 'h:8500', secure: false, path: 'some/prefix' }],
    ['consulkv:///prefix', {}, { host: '127.0.0.1:8500', secure: false, path: 'prefix' }],
    ['consul://', { CONSUL_HTTP_ADDR: 'h:1' }, { host: 'h:1', secure: false, path: '' }],
    ['consul://', { CONSUL_HTTP_ADDR: 'https://h:1' }, { host: 'h:1', secure: true, path: '' }],
    ['consul://', { CONSUL_HTTP_ADDR: 'HTTPS://h:1' }, { host: 'h:1', secure: true, path: '' }],
    ['consul://', { CONSUL_HTTP_ADDR: 'http://h:1/' }, { host: 'h:1', secure: false, path: '' }],
    ['consul://x:2', { CONSUL_HTTP_ADDR: 'h:1' }, { host: 'x:2', secure: false, path: '' }],
    ['consul://x:2', { CONSUL_HTTP_SSL: 'true' }, { host: 'x:2', secure: true, path: '' }],
    [
      'consul://',
      { CONSUL_HTTP_ADDR: 'unix:///s.sock' },
      { host: 'localhost', secure: false, socketPath: '/s.sock', path: '' },
    ],
    ['consul-unix:///s.sock', {}, { host: 'localhost', secure: false, socketPath: '/s.sock', path: '' }],
    ['consulkv-unix:///s.sock:/a/b', {}, { host: 'localhost', secure: false, socketPath: '/s.sock', path: 'a/b' }],
  ])('%s with %j', (uri, env, expected) => {
    expect(parseConsulUri(uri, env)).toEqual(expected);
  });

  it.each([
    ['consul://user:pw@h', 'may hold a host and a port only'],
    ['consul://h:8500?token=x', 'may hold a host and a port only'],
    ['consul://h:x', 'that is no host:port'],
    ['consul-unix://x', 'names no socket'],
  ])('refuses %s with a sentence and no secret', (uri, words) => {
    expect(() => parseConsulUri(uri, {})).toThrow(words);
    expect(() => parseConsulUri(uri, {})).not.toThrow(/pw|token=x/);
  });

  it('is never guessed: any other text is an address or a sentence', () => {
    fc.assert(
      fc.property(fc.string(), (rest) => {
        try {
          expect(parseConsulUri(`consul://${rest}`, {}).host).toMatch(/./);
        } catch (error) {
          expect((error as Error).message).toMatch(/^[A-Z].*\.$/s);
        }
      }),
    );
  });
});
