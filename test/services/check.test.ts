import { describe, expect, test } from 'vitest';
import { deriveSample, ID, only, type Sample, told } from './snapshots.ts';

const PORT = { published: { '6379/tcp': ['10017'] } };
const IP = { ip: '10.9.8.7' };

/** The check that `SERVICE_CHECK_*` fields ask for. */
const check = (env: Record<string, string>, sample: Sample = {}) =>
  only({ ...PORT, env: fields(env), ...sample }, IP).check;

const fields = (env: Record<string, string>) =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [`SERVICE_CHECK_${name}`, value]));

/** What is said of a container that is registered without a check. */
function refused(env: Record<string, string>, sample: Sample = {}): readonly string[] {
  const derivation = deriveSample({ ...PORT, env: fields(env), ...sample }, IP);
  expect(derivation.services).toHaveLength(1);
  expect(derivation.services[0]).not.toHaveProperty('check');
  return told(derivation);
}

test('none is asked for', () => {
  expect(only()).not.toHaveProperty('check');
  expect(only({ env: { SERVICE_CHECK_INTERVAL: '5s' } })).not.toHaveProperty('check');
});

describe('HTTP and HTTPS', () => {
  test('a path with its method, interval and timeout', () => {
    expect(check({ HTTP: '/health', INTERVAL: '15s', TIMEOUT: '1s', HTTP_METHOD: 'HEAD' })).toEqual({
      type: 'http',
      url: 'http://10.9.8.7:10017/health',
      method: 'HEAD',
      interval: '15s',
      timeout: '1s',
    });
    expect(check({ HTTPS: '/health', HTTPS_METHOD: 'HEAD', HTTP_METHOD: 'POST', TLS_SKIP_VERIFY: 'true' })).toEqual({
      type: 'http',
      url: 'https://10.9.8.7:10017/health',
      method: 'HEAD',
      interval: '10s',
      tlsSkipVerify: true,
    });
  });

  test('a path without a slash gets one', () => {
    expect(check({ HTTP: 'health' })).toMatchObject({ url: 'http://10.9.8.7:10017/health' });
    expect(check({ HTTP: '@example.com/' })).toMatchObject({ url: 'http://10.9.8.7:10017/@example.com/' });
  });

  test('an IPv6 address gets brackets', () => {
    const env = { SERVICE_CHECK_HTTP: '/' };
    expect(only({ ...PORT, env }, { ip: '2001:db8::7' }).check).toMatchObject({ url: 'http://[2001:db8::7]:10017/' });
  });

  test('is of the address and port that are registered', () => {
    const labels = { SERVICE_IP: '10.1.1.1', SERVICE_PORT: '99', SERVICE_CHECK_HTTP: '/' };
    expect(only({ labels }).check).toMatchObject({ url: 'http://10.1.1.1:99/' });
  });

  test.each([
    ['Host: example.com|X-A:  1 | X-A: b:c ', { Host: ['example.com'], 'X-A': ['1', 'b:c'] }],
    ['{"Host":"example.com","X-A":["1","2"]}', { Host: ['example.com'], 'X-A': ['1', '2'] }],
  ])('headers %s', (HTTP_HEADER, headers) => {
    expect(check({ HTTP: '/', HTTP_HEADER })).toMatchObject({ headers });
  });

  test.each(['no colon', 'A b: c', 'A: b\r\nC: d', '{"A":1}', '{"A":', '{"A":"b\\n"}'])(
    'headers %j are ignored, and named',
    (HTTP_HEADER) => {
      const derivation = deriveSample({ env: fields({ HTTP: '/', HTTP_HEADER }) });
      expect(derivation.services[0]?.check).toEqual({ type: 'http', url: 'http://10.0.0.1:16379/', interval: '10s' });
      expect(told(derivation)).toEqual([
        `"SERVICE_CHECK_HTTP_HEADER" is ${JSON.stringify(HTTP_HEADER)}, which is no list of HTTP headers such as "Host: example.com|X-Probe: yes"; it is ignored.`,
      ]);
    },
  );

  test('a method that is none is ignored, and named', () => {
    const derivation = deriveSample({ env: fields({ HTTP: '/', HTTP_METHOD: 'GET /\r\n' }) });
    expect(derivation.services[0]?.check).not.toHaveProperty('method');
    expect(told(derivation)).toEqual([
      '"SERVICE_CHECK_HTTP_METHOD" is "GET /\\r\\n", which is no HTTP method; it is ignored.',
    ]);
  });

  test('a path with control characters is no check', () => {
    expect(refused({ HTTP: '/a\nb' })).toEqual([
      '"SERVICE_CHECK_HTTP" has control characters; the service is registered without a check.',
    ]);
  });
});

describe('TCP and GRPC', () => {
  test('TCP', () => {
    expect(check({ TCP: 'true', TIMEOUT: '3s' })).toEqual({
      type: 'tcp',
      target: '10.9.8.7:10017',
      interval: '10s',
      timeout: '3s',
    });
  });

  test('GRPC', () => {
    expect(check({ GRPC: 'true', INTERVAL: '5s', GRPC_USE_TLS: 'true', TLS_SKIP_VERIFY: 'true' })).toEqual({
      type: 'grpc',
      target: '10.9.8.7:10017',
      useTls: true,
      interval: '5s',
      tlsSkipVerify: true,
    });
    expect(check({ GRPC: '1' })).toEqual({ type: 'grpc', target: '10.9.8.7:10017', useTls: false, interval: '10s' });
  });

  test.each(['', 'false', '0'])('are off with %j', (value) => {
    expect(check({ TCP: value, GRPC: value, HTTP: value })).toBeUndefined();
  });

  test('an IPv6 address gets brackets', () => {
    expect(only({ ...PORT, env: { SERVICE_CHECK_TCP: '1' } }, { ip: '::1' }).check).toMatchObject({
      target: '[::1]:10017',
    });
  });
});

describe('SCRIPT and CMD', () => {
  test('a script is split into words, its variables replaced', () => {
    expect(check({ SCRIPT: 'nc -z $SERVICE_IP "$SERVICE_PORT"' })).toEqual({
      type: 'script',
      args: ['nc', '-z', '10.9.8.7', '10017'],
      interval: '10s',
    });
    expect(check({ SCRIPT: "sh -c 'nc $SERVICE_IP $SERVICE_PORT' $HOME $SERVICE_PORTS" })).toMatchObject({
      args: ['sh', '-c', 'nc 10.9.8.7 10017', '$HOME', '$SERVICE_PORTS'],
    });
  });

  test('a script with a shell operator is for a shell, as a whole', () => {
    expect(check({ SCRIPT: 'nc $SERVICE_IP $SERVICE_PORT | grep "OK" > /dev/null' })).toEqual({
      type: 'script',
      args: ['sh', '-c', 'nc 10.9.8.7 10017 | grep "OK" > /dev/null'],
      interval: '10s',
    });
  });

  test('a quote that is not closed is no check', () => {
    expect(refused({ SCRIPT: 'echo "a' })).toEqual([
      '"SERVICE_CHECK_SCRIPT" has a quote that is not closed; the service is registered without a check.',
    ]);
    expect(refused({ SCRIPT: '  ' })).toEqual([
      '"SERVICE_CHECK_SCRIPT" has no command; the service is registered without a check.',
    ]);
  });

  test('a command runs in the container, by check-cmd', () => {
    expect(check({ CMD: 'curl -f localhost', INTERVAL: '1m' })).toEqual({
      type: 'script',
      args: ['check-cmd', ID.slice(0, 12), '6379', 'curl -f localhost'],
      interval: '1m',
    });
    expect(check({ CMD: 'false' })).toMatchObject({ args: ['check-cmd', ID.slice(0, 12), '6379', 'false'] });
  });
});

describe('TTL', () => {
  test('is the TTL alone', () => {
    expect(check({ TTL: '30s', INTERVAL: '5s', TIMEOUT: '1s' })).toEqual({ type: 'ttl', ttl: '30s' });
  });

  test.each(['30', 'soon', '0s', '-1s', 'false'])('of %s is no check', (TTL) => {
    expect(refused({ TTL })).toEqual([
      `"SERVICE_CHECK_TTL" is "${TTL}", which is no duration that Consul takes, such as 10s or 1m30s; the service is registered without a check.`,
    ]);
  });
});

describe('which one', () => {
  test('the first of HTTP, HTTPS, CMD, SCRIPT, TTL, TCP, GRPC, DOCKER', () => {
    const all: Record<string, string> = {
      HTTP: '/a',
      HTTPS: '/b',
      CMD: 'c',
      SCRIPT: 'd',
      TTL: '1s',
      TCP: '1',
      GRPC: '1',
      DOCKER: '1',
    };
    const state = { Health: { Status: 'healthy' } };
    const types: unknown[] = [];
    for (const name of Object.keys(all)) {
      const found = check(all, { state });
      types.push(
        found?.type === 'http' ? found.url.slice(0, 5) : found?.type === 'script' ? found.args[0] : found?.type,
      );
      delete all[name];
    }
    expect(types).toEqual(['http:', 'https', 'check-cmd', 'd', 'ttl', 'tcp', 'grpc', 'docker']);
  });

  test('each port has its own', () => {
    const env = { SERVICE_443_CHECK_TCP: 'true', SERVICE_80_CHECK_HTTP: '/' };
    const { services } = deriveSample({ published: { '80/tcp': ['8007'], '443/tcp': ['4449'] }, env });
    expect(services.map((service) => service.check?.type)).toEqual(['http', 'tcp']);
    expect(services.map(({ meta }) => meta)).toEqual([{ check_http: '/' }, { check_tcp: 'true' }]);
  });
});

describe('what every check may have', () => {
  test('an initial status, and a time after which the service is removed', () => {
    const expected = { initialStatus: 'passing', deregisterAfter: '10m' };
    expect(check({ TCP: '1', INITIAL_STATUS: 'passing', DEREGISTER_AFTER: '10m' })).toMatchObject(expected);
    expect(check({ TTL: '5s', INITIAL_STATUS: 'passing', DEREGISTER_AFTER: '10m' })).toMatchObject(expected);
  });

  test('another initial status is ignored, and named', () => {
    const derivation = deriveSample({ env: fields({ TCP: '1', INITIAL_STATUS: 'green' }) });
    expect(derivation.services[0]?.check).toEqual({ type: 'tcp', target: '10.0.0.1:16379', interval: '10s' });
    expect(told(derivation)).toEqual([
      '"SERVICE_CHECK_INITIAL_STATUS" is "green", which is none of passing, warning and critical; it is ignored.',
    ]);
  });

  test.each(['INTERVAL', 'TIMEOUT', 'DEREGISTER_AFTER'])('a %s that Consul would refuse is no check', (name) => {
    expect(refused({ TCP: '1', [name]: '10' })).toEqual([
      `"SERVICE_CHECK_${name}" is "10", which is no duration that Consul takes, such as 10s or 1m30s; the service is registered without a check.`,
    ]);
  });

  test('the label at fault is named as it was written', () => {
    const derivation = deriveSample({ labels: { SERVICE_6379_CHECK_TCP: '1', SERVICE_6379_check_interval: 'often' } });
    expect(told(derivation)[0]).toMatch(/^"SERVICE_6379_check_interval" is "often"/);
  });
});

describe('DOCKER', () => {
  const healthy = (Status: string, Output?: string): Sample => ({
    state: {
      Health: {
        Status,
        Log:
          Output === undefined
            ? null
            : [
                { ExitCode: 1, Output: 'old' },
                { ExitCode: 0, Output },
              ],
      },
    },
  });

  test.each([
    ['starting', 'critical'],
    ['healthy', 'passing'],
    ['unhealthy', 'critical'],
  ])('%s is %s', (status, expected) => {
    expect(only(healthy(status, 'OK\n'))).toMatchObject({
      check: { type: 'docker', ttl: '86400s' },
      health: { status: expected, output: 'OK' },
    });
  });

  test.each(['none', ''])('a container whose health is %j has none', (status) => {
    expect(only(healthy(status))).not.toHaveProperty('check');
    expect(only(healthy(status))).not.toHaveProperty('health');
  });

  test('has no output yet', () => {
    expect(only(healthy('starting')).health).toEqual({ status: 'critical', output: 'container is starting' });
  });

  test('SERVICE_CHECK_INITIAL_STATUS is its state while it starts, and no longer', () => {
    const labels = { SERVICE_CHECK_INITIAL_STATUS: 'passing' };
    expect(only({ ...healthy('starting'), labels }).health?.status).toBe('passing');
    expect(only({ ...healthy('unhealthy'), labels }).health?.status).toBe('critical');
  });

  test('its output is cut to 4 KiB of whole characters, without control characters', () => {
    expect(only(healthy('healthy', 'a\x1b[31mb\x00\r\nc\x85')).health?.output).toBe('a[31mb\nc');
    const output = only(healthy('healthy', `x${'é'.repeat(5000)}`)).health?.output ?? '';
    expect(Buffer.byteLength(output)).toBe(4095);
    expect(output).toBe(`x${'é'.repeat(2047)}`);
  });

  test('gives way to another check, and its state with it', () => {
    const service = only({ ...healthy('unhealthy'), labels: { SERVICE_CHECK_TCP: '1' } });
    expect(service.check?.type).toBe('tcp');
    expect(service).not.toHaveProperty('health');
  });

  test('is off without dockerHealth, but where it is asked for', () => {
    expect(only(healthy('healthy'), { dockerHealth: false })).not.toHaveProperty('check');
    const labels = { SERVICE_CHECK_DOCKER: 'true' };
    expect(only({ ...healthy('healthy'), labels }, { dockerHealth: false }).check?.type).toBe('docker');
  });

  test('holds for as long as --health-ttl says', () => {
    expect(only(healthy('healthy'), { healthTtl: 90 }).check).toEqual({ type: 'docker', ttl: '90s' });
  });

  test('SERVICE_CHECK_DOCKER=false turns it off', () => {
    const service = only({ ...healthy('healthy'), labels: { SERVICE_CHECK_DOCKER: 'false' } });
    expect(service).not.toHaveProperty('check');
    expect(service).not.toHaveProperty('health');
  });

  test('cannot be asked for where there is no HEALTHCHECK', () => {
    expect(refused({ DOCKER: 'true' })).toEqual([
      '"SERVICE_CHECK_DOCKER" asks for Docker\'s health, and the container has no HEALTHCHECK; the service is registered without a check.',
    ]);
  });

  test('a paused container is critical, whatever its health was', () => {
    const service = only({ state: { ...healthy('healthy').state, Status: 'paused', Paused: true } });
    expect(service).toMatchObject({ check: { type: 'docker' }, health: { output: 'container is paused' } });
  });

  test('is removed after a while, but has no initial status', () => {
    const labels = { SERVICE_CHECK_DEREGISTER_AFTER: '1h', SERVICE_CHECK_INITIAL_STATUS: 'critical' };
    expect(only({ ...healthy('healthy'), labels }).check).toEqual({
      type: 'docker',
      ttl: '86400s',
      deregisterAfter: '1h',
    });
  });
});
