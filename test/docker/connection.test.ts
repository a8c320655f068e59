import { describe, expect, it } from 'vitest';
import { dockerConnection } from '../../src/docker/index.ts';

const only = (path: string) => (asked: string) => asked === path;

describe('which Docker is watched', () => {
  it.each([
    ['/var/run/docker.sock', {}],
    ['/tmp/docker.sock', {}],
    ['/home/me/.docker/run/docker.sock', { HOME: '/home/me' }],
    ['/run/user/1000/docker.sock', { XDG_RUNTIME_DIR: '/run/user/1000' }],
    ['/run/user/1000/podman/podman.sock', { XDG_RUNTIME_DIR: '/run/user/1000' }],
    ['/run/podman/podman.sock', {}],
  ])('%s when it is the only socket there', (socketPath, env) => {
    expect(dockerConnection(env, only(socketPath))).toMatchObject({
      destination: { socketPath },
      name: `unix://${socketPath}`,
    });
  });

  it('the standard socket before the one of old compose files', () => {
    expect(dockerConnection({}, () => true).name).toBe('unix:///var/run/docker.sock');
  });

  it('the standard socket when none is there, so that it is found when Docker starts', () => {
    expect(dockerConnection({}, () => false).name).toBe('unix:///var/run/docker.sock');
  });

  it.each([
    ['unix:///x/d.sock', { socketPath: '/x/d.sock' }],
    ['npipe:////./pipe/docker_engine', { socketPath: '//./pipe/docker_engine' }],
    ['tcp://10.0.0.5:2375', { baseUrl: 'http://10.0.0.5:2375' }],
    ['TCP://10.0.0.5:2375', { baseUrl: 'http://10.0.0.5:2375' }],
    ['tcp://10.0.0.5', { baseUrl: 'http://10.0.0.5:2375' }],
    ['tcp://[2001:db8::5]:2375', { baseUrl: 'http://[2001:db8::5]:2375' }],
    ['ssh://me@host', { dial: expect.any(Function), maxSockets: 4 }],
  ])('DOCKER_HOST=%s', (DOCKER_HOST, destination) => {
    expect(dockerConnection({ DOCKER_HOST }).destination).toMatchObject(destination);
  });

  it.each([
    ['1.43', { apiVersion: '1.43' }],
    ['v1.43', { apiVersion: '1.43' }],
    ['', {}],
  ])('DOCKER_API_VERSION=%s, as the Docker CLI reads it', (DOCKER_API_VERSION, version) => {
    expect(dockerConnection({ DOCKER_API_VERSION }, () => true)).toEqual({
      destination: { baseUrl: 'http://docker', socketPath: '/var/run/docker.sock', maxSockets: 40 },
      name: 'unix:///var/run/docker.sock',
      ...version,
    });
  });

  it.each([
    [{ DOCKER_API_VERSION: '1.41/../x' }, 'DOCKER_API_VERSION must look like 1.41.'],
    [{ DOCKER_HOST: 'ftp://x' }, 'must begin with unix://, tcp://, ssh:// or npipe://'],
    [{ DOCKER_HOST: 'unix://' }, 'names no socket'],
    [{ DOCKER_HOST: 'tcp://a b' }, 'no valid host and port'],
    [{ DOCKER_HOST: 'ssh://host/$(reboot)' }, 'no plain path'],
    [{ DOCKER_HOST: 'ssh://host/x;y' }, 'no plain path'],
    [{ DOCKER_HOST: 'tcp://h:1', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/nowhere' }, 'ca.pem cannot be read'],
  ])('refuses %j with a sentence', (env, words) => {
    expect(() => dockerConnection(env)).toThrow(words);
  });
});
