import { describe, expect, it } from 'vitest';
import { readCommandLine } from '../../src/cli/command-line.ts';
import { createProgram, UsageError } from '../../src/cli/program.ts';

const invoke = (argv: string[], env: Record<string, string> = {}) => readCommandLine(createProgram('1.2.3'), argv, env);
const read = (argv: string[], env: Record<string, string> = {}) => invoke(argv, env).options;

function complaint(argv: string[], env: Record<string, string> = {}): string {
  try {
    read(argv, env);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'no complaint';
}

describe('the command line', () => {
  it('means memory:// and the documented defaults when there is nothing on it', () => {
    expect(read([])).toEqual({
      registries: ['memory://'],
      ipFamily: 4,
      internal: false,
      explicit: false,
      ipFromContainer: false,
      composeNames: false,
      swarm: false,
      httpNames: [],
      plugins: [],
      resync: 60,
      deregister: 'always',
      deregisterOnExit: false,
      dockerHealth: true,
      healthTtl: 86_400,
      drain: true,
      requireHealthy: false,
      retryAttempts: Number.POSITIVE_INFINITY,
      retryInterval: 2000,
      logLevel: 'info',
      logFormat: 'auto',
    });
  });

  it.each([
    [['-ip', '10.0.0.1'], { ip: '10.0.0.1' }],
    [['-ip=10.0.0.1'], { ip: '10.0.0.1' }],
    [['--ip', '2001:db8::1'], { ip: '2001:db8::1' }],
    [['--ip', '[fd00::2]'], { ip: 'fd00::2' }],
    [['-internal'], { internal: true }],
    [['-internal=true'], { internal: true }],
    [['-internal=false'], { internal: false }],
    [['-explicit'], { explicit: true }],
    [['-useIpFromLabel', 'my.ip'], { useIpFromLabel: 'my.ip' }],
    [['--use-ip-from-label=my.ip'], { useIpFromLabel: 'my.ip' }],
    [['-ip-from-container'], { ipFromContainer: true }],
    [['-ttl', '30', '-ttl-refresh', '10'], { ttl: 30, ttlRefresh: 10 }],
    [['-ttl=30'], { ttl: 30 }],
    [['-resync', '600'], { resync: 600 }],
    [['-deregister=on-success'], { deregister: 'on-success', drain: false }],
    [['--drain=off'], { drain: false }],
    [['--drain', 'on', '--require-healthy'], { drain: true, requireHealthy: true }],
    [['-cleanup'], {}],
    [['-retry-attempts', '-1'], { retryAttempts: Number.POSITIVE_INFINITY }],
    [['-retry-attempts=3', '-retry-interval=500'], { retryAttempts: 3, retryInterval: 500 }],
    [['--no-docker-health'], { dockerHealth: false }],
    [['--health-ttl', '90'], { healthTtl: 90 }],
    [['--compose-names', '--swarm'], { composeNames: true, swarm: true }],
    [['--http', '127.0.0.1:9090'], { http: { host: '127.0.0.1', port: 9090 } }],
    [['--http=[::1]:9090'], { http: { host: '::1', port: 9090 } }],
    [['--http', ':9090'], { http: { host: '0.0.0.0', port: 9090 } }],
    [['--log-level', 'debug', '--log-format', 'json'], { logLevel: 'debug', logFormat: 'json' }],
  ])('reads %j as %j', (argv, expected) => {
    expect(read([...argv, 'consul://h:1'])).toMatchObject({ registries: ['consul://h:1'], ...expected });
  });

  it('takes flags before and behind the URIs, and several URIs', () => {
    expect(read(['consul://a', '-internal', 'etcd://b/c'])).toMatchObject({
      registries: ['consul://a', 'etcd://b/c'],
      internal: true,
    });
  });

  it('reads every flag from the environment, the command line winning', () => {
    const env = {
      REGISTRATOR_TTL: '30',
      REGISTRATOR_INTERNAL: 'true',
      REGISTRATOR_EXPLICIT: 'false',
      REGISTRATOR_IP: '10.0.0.1',
    };
    expect(read(['-ttl', '60'], env)).toMatchObject({ ttl: 60, internal: true, explicit: false, ip: '10.0.0.1' });
    expect(read(['-internal=false'], env)).toMatchObject({ internal: true });
  });

  it('takes URIs from REGISTRATOR_REGISTRY when there is none on the command line', () => {
    const env = { REGISTRATOR_REGISTRY: 'consul://a etcd://b/c' };
    expect(read(['--ip', '2001:db8::1'], env).registries).toEqual(['consul://a', 'etcd://b/c']);
    expect(read(['memory://'], env).registries).toEqual(['memory://']);
  });

  it.each([
    [['-ip', 'here'], 'IPv4 or IPv6 address'],
    [['--ip', 'fe80::1%eth0'], 'without a zone'],
    [['-ttl', 'abc'], 'whole number of seconds'],
    [['-ttl', '-5'], 'whole number of seconds'],
    [['-ttl-refresh', '5'], '--ttl-refresh renews what --ttl lets expire'],
    [['-ttl', '5', '-ttl-refresh', '5'], 'must be less than --ttl'],
    [['--health-ttl', '5'], 'from 10 to'],
    [['-deregister', 'never'], 'Allowed choices are always, on-success'],
    [['--drain', 'maybe'], 'Allowed choices are on, off'],
    [['--drain=on', '-deregister=on-success'], '--drain takes services out before their container has ended'],
    [['--ip-family', '5'], 'Allowed choices are 4, 6'],
    [['--hostname', 'a:b'], 'without spaces, colons or slashes'],
    [['--nonsense'], "Unknown option '--nonsense'"],
    [['-retry-interval', '0'], 'from 1 to'],
    [['-tags', 'a,{{ .Name'], '--tags does not parse'],
    [['--ip'], 'argument missing'],
  ])('answers %j with one sentence', (argv, words) => {
    const sentence = complaint(argv);
    expect(sentence).toContain(words);
    expect(sentence).not.toContain('\n');
  });

  it('names the variable that is no true or false', () => {
    expect(complaint([], { REGISTRATOR_INTERNAL: 'maybe' })).toBe(
      'REGISTRATOR_INTERNAL must be true or false, not "maybe".',
    );
  });
});

describe('the commands', () => {
  it.each([
    [['consul://a'], { command: 'run' }],
    [['check'], { command: 'check', json: false }],
    [['check', 'web', '--json'], { command: 'check', container: 'web', json: true }],
    [['-internal', 'check', 'web'], { command: 'check', container: 'web', options: { internal: true } }],
    [['check', '-ip', '10.0.0.1', 'web'], { command: 'check', container: 'web', options: { ip: '10.0.0.1' } }],
    [['ls', 'consul://a', 'etcd://b/c'], { command: 'ls', options: { registries: ['consul://a', 'etcd://b/c'] } }],
    [['cleanup', 'consul://a', '--dry-run'], { command: 'cleanup', dryRun: true }],
    [['cleanup', 'consul://a'], { command: 'cleanup', dryRun: false }],
    [['--plugin', './a.js', '--plugin=b.js', 'x://y'], { command: 'run', plugins: ['./a.js', 'b.js'] }],
  ])('reads %j', (argv, expected) => {
    expect(invoke(argv)).toMatchObject(expected);
  });

  it('take the registry and flags from the environment as well', () => {
    const env = { REGISTRATOR_REGISTRY: 'consul://a', REGISTRATOR_INTERNAL: 'true' };
    expect(invoke(['ls'], env).options).toMatchObject({ registries: ['consul://a'], internal: true });
    expect(invoke(['check', 'web'], env)).toMatchObject({ container: 'web', options: { internal: true } });
  });

  it('refuse what they do not know', () => {
    expect(complaint(['check', 'a', 'b'])).toContain('Too many arguments');
    expect(complaint(['check', '--dry-run'])).toContain("Unknown option '--dry-run'");
    expect(complaint(['--http', 'here', 'consul://a'])).toContain('an address and a port');
    expect(complaint(['--http', '1.2.3.4:99999'])).toContain('an address and a port');
  });
});
