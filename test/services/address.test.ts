import { describe, expect, test } from 'vitest';
import { deriveSample, only, type Sample, told } from './snapshots.ts';

const published = (...hosts: string[]): Sample => ({ published: { '6379/tcp': hosts } });
const endpoint = (...sample: Parameters<typeof only>) => {
  const { address, port } = only(...sample);
  return `${address} ${port}`;
};

describe('the host’s address', () => {
  test('is the one that is known of the host for a wildcard binding', () => {
    expect(endpoint(published('0.0.0.0:10000'))).toBe('10.0.0.1 10000');
    expect(endpoint(published(':10000'))).toBe('10.0.0.1 10000');
  });

  test('is the binding’s own where it is no wildcard', () => {
    expect(endpoint(published('192.0.2.7:10000'))).toBe('192.0.2.7 10000');
    expect(endpoint(published('127.0.0.1:10000'))).toBe('127.0.0.1 10000');
  });

  test('is --ip above both', () => {
    expect(endpoint(published('192.0.2.7:10000'), { ip: '10.9.8.7' })).toBe('10.9.8.7 10000');
    expect(endpoint(published('127.0.0.1:10000'), { ip: '2001:db8::7' })).toBe('2001:db8::7 10000');
  });

  test('is the host’s on user-defined networks too', () => {
    const sample = { ...published('10006'), networkMode: 'back', networks: { back: { IPAddress: '172.30.7.10' } } };
    expect(endpoint(sample)).toBe('10.0.0.1 10006');
  });

  test('is never guessed: the port is left out, with a warning', () => {
    const derivation = deriveSample(published('10000'), { hostAddress: {} });
    const reason = 'no IPv4 address of this host but loopback is known; give one with --ip';
    expect(derivation.services).toEqual([]);
    expect(derivation.ignored).toEqual([{ port: '6379/tcp', reason }]);
    expect(derivation.notices).toEqual([
      { level: 'warn', message: `Container web: 6379/tcp is not registered: ${reason}.` },
    ]);
  });
});

describe('several bindings of one port', () => {
  const dual = published('[::]:20000', '0.0.0.0:10000');

  test('are one service of the chosen family', () => {
    expect(endpoint(dual)).toBe('10.0.0.1 10000');
    expect(endpoint(dual, { ipFamily: 6 })).toBe('2001:db8::1 20000');
  });

  test('are one service at the lowest port, whatever Docker lists first', () => {
    expect(endpoint(published('10009', '10008'))).toBe('10.0.0.1 10008');
    expect(endpoint(published('10008', '10009'))).toBe('10.0.0.1 10008');
    expect(endpoint(published('9999', '10008'))).toBe('10.0.0.1 9999');
  });

  test('are the one that others can reach', () => {
    expect(endpoint(published('127.0.0.1:80', '8080'))).toBe('10.0.0.1 8080');
  });

  test('are of the other family where there is none of the chosen one', () => {
    expect(endpoint(published('[::]:20000'))).toBe('2001:db8::1 20000');
    expect(endpoint(published('10000'), { ipFamily: 6 })).toBe('10.0.0.1 10000');
  });
});

describe('the container’s address', () => {
  const internal = { internal: true };

  test('is the default bridge’s', () => {
    expect(endpoint({ address: '172.17.0.9' }, internal)).toBe('172.17.0.9 6379');
  });

  test('is found on engines that no longer give the bridge’s apart', () => {
    const networks = { alpha: { IPAddress: '172.30.0.2' }, bridge: { IPAddress: '172.17.0.9' } };
    for (const networkMode of ['bridge', 'default', 'alpha']) {
      expect(endpoint({ networkMode, networks }, internal)).toBe('172.17.0.9 6379');
    }
  });

  test('is that of the network that it was started in, by name or ID', () => {
    const networks = { alpha: { IPAddress: '172.30.0.2' }, back: { IPAddress: '172.30.7.10', NetworkID: 'f00' } };
    expect(endpoint({ networkMode: 'back', networks }, internal)).toBe('172.30.7.10 6379');
    expect(endpoint({ networkMode: 'f00', networks }, internal)).toBe('172.30.7.10 6379');
  });

  test('is else that of the first network by name that has one', () => {
    const networks = { zulu: { IPAddress: '172.30.0.3' }, alpha: { IPAddress: '' }, mike: { IPAddress: '172.30.0.2' } };
    expect(endpoint({ networkMode: 'gone', networks }, internal)).toBe('172.30.0.2 6379');
  });

  test('is that of --network, and SERVICE_NETWORK above it', () => {
    const sample: Sample = {
      networkMode: 'a',
      networks: { a: { IPAddress: '172.30.0.1' }, b: { IPAddress: '172.30.0.2' }, c: { IPAddress: '172.30.0.3' } },
    };
    expect(endpoint(sample, { internal: true, network: 'b' })).toBe('172.30.0.2 6379');
    expect(endpoint({ ...sample, labels: { SERVICE_NETWORK: 'c' } }, { internal: true, network: 'b' })).toBe(
      '172.30.0.3 6379',
    );
    expect(endpoint({ ...sample, labels: { SERVICE_6379_NETWORK: 'c' } }, internal)).toBe('172.30.0.3 6379');
  });

  test('is found without a network that the container is not in, with a notice', () => {
    const byLabel = deriveSample({ labels: { SERVICE_NETWORK: 'back' } }, internal);
    expect(byLabel.services[0]?.address).toBe('172.17.0.2');
    expect(told(byLabel)).toEqual([
      '"SERVICE_NETWORK" is "back", which is no network of this container; it is ignored.',
    ]);
    const byFlag = deriveSample({}, { internal: true, network: 'back' });
    expect(byFlag.services[0]?.address).toBe('172.17.0.2');
    expect(told(byFlag, 'info')).toEqual([
      'it is not in the network "back" that --network names; its address in another one is taken.',
    ]);
  });

  test('is its IPv6 one with --ip-family 6', () => {
    const sample = { address: '172.17.0.2', address6: 'fd00::2' };
    expect(endpoint(sample, { internal: true, ipFamily: 6 })).toBe('fd00::2 6379');
    const networks = { back: { IPAddress: '172.30.7.10', GlobalIPv6Address: 'fd00::7' } };
    expect(endpoint({ networkMode: 'back', networks }, { internal: true, ipFamily: 6 })).toBe('fd00::7 6379');
  });

  test('is missing: the port is left out, and the warning says what to do', () => {
    const none = deriveSample({ networkMode: 'none', networks: { none: { IPAddress: '' } } }, internal);
    expect(none.services).toEqual([]);
    expect(told(none)).toEqual([
      '6379/tcp is not registered: the container has no IPv4 address in any network; connect it to a network, or set SERVICE_IP.',
    ]);
    const wrongFamily = deriveSample({}, { internal: true, ipFamily: 6 });
    expect(told(wrongFamily)).toEqual([
      '6379/tcp is not registered: the container has no IPv6 address in any network; it has an IPv4 one, for --ip-family 4.',
    ]);
  });

  test('--ip does not count in --internal', () => {
    expect(endpoint({}, { internal: true, ip: '10.9.8.7' })).toBe('172.17.0.2 6379');
  });

  test('--ip-from-container takes it with the host’s port', () => {
    expect(endpoint({}, { ipFromContainer: true, ip: '10.9.8.7' })).toBe('172.17.0.2 16379');
  });
});

describe('an address by label', () => {
  test.each([
    ['10.7.7.7', '10.7.7.7'],
    ['10.7.7.7/24', '10.7.7.7'],
    ['2001:db8::9/64', '2001:db8::9'],
    ['[2001:db8::9]', '2001:db8::9'],
    ['db.example.com', 'db.example.com'],
  ])('--use-ip-from-label: %s', (value, address) => {
    const sample = { labels: { 'my.ip': value } };
    for (const options of [{}, { internal: true }, { ip: '10.9.8.7' }, { ipFromContainer: true }]) {
      expect(only(sample, { useIpFromLabel: 'my.ip', ...options }).address).toBe(address);
    }
  });

  test('--use-ip-from-label on a container without the label, or with a wrong one', () => {
    expect(only({}, { useIpFromLabel: 'my.ip' }).address).toBe('10.0.0.1');
    const wrong = deriveSample({ labels: { 'my.ip': 'no address/24' } }, { useIpFromLabel: 'my.ip' });
    expect(wrong.services[0]?.address).toBe('10.0.0.1');
    expect(told(wrong)).toEqual([
      'the label "my.ip" is "no address/24", which is no address; the address is found without it.',
    ]);
  });

  test('SERVICE_IP and SERVICE_<port>_IP override every other', () => {
    expect(endpoint({ labels: { SERVICE_IP: '10.1.1.1' } }, { ip: '10.9.8.7' })).toBe('10.1.1.1 16379');
    const sample = { labels: { SERVICE_IP: '10.1.1.1', SERVICE_6379_IP: '[2001:db8::5]', 'my.ip': '10.7.7.7' } };
    expect(endpoint(sample, { useIpFromLabel: 'my.ip' })).toBe('2001:db8::5 16379');
  });

  test.each(['not an ip', '999.1.1.1', '10.0.0', '10.0.0.1/24', '-x', '<b>', 'fe80::1%eth0', '[fe80::1%eth0]'])(
    'SERVICE_IP=%s is ignored, and named',
    (value) => {
      const derivation = deriveSample({ labels: { SERVICE_IP: value } });
      expect(derivation.services[0]?.address).toBe('10.0.0.1');
      expect(told(derivation)).toEqual([
        `"SERVICE_IP" is "${value}", which is neither an IP address nor a host name; it is ignored.`,
      ]);
    },
  );
});

test.each([
  ['the host’s own address', {}, undefined],
  ['the container’s, by a label', { SERVICE_IP: '172.17.0.2' }, undefined],
  ['the host’s, by a label', { SERVICE_IP: '10.0.0.1', SERVICE_PORT: '22' }, undefined],
  ['another', { SERVICE_IP: '192.0.2.9' }, true],
  ['a name', { SERVICE_IP: 'evil.example' }, true],
  ['another spelling', { SERVICE_IP: '::ffff:172.17.0.2' }, true],
  ['the cloud’s metadata', { SERVICE_IP: '169.254.169.254' }, true],
  ['loopback', { SERVICE_IP: '127.0.0.1', SERVICE_PORT: '2375' }, true],
])('%s is known as elsewhere or not', (_, labels, elsewhere) => {
  expect(only({ labels }).elsewhere).toBe(elsewhere);
});

test('a port published to loopback is this host’s own, another port there is not', () => {
  const published = { '6379/tcp': ['127.0.0.1:16379'] };
  expect(only({ published }).elsewhere).toBeUndefined();
  expect(only({ published, labels: { SERVICE_PORT: '2375' } }).elsewhere).toBe(true);
});
