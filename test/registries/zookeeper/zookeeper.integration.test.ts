import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import zookeeper from 'node-zookeeper-client';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { parseZooKeeperUri, zooKeeper } from '../../../src/registries/zookeeper/zookeeper.ts';

const context = { owner: { host: 'node1', engine: 'ENGINE' }, env: {}, log: pino({ level: 'silent' }) };
const signal = new AbortController().signal;

describe('a ZooKeeper URI', () => {
  test.each([
    ['zookeeper://zk1', [{ host: 'zk1', port: 2181 }], '/'],
    ['zookeeper://zk1:2182/', [{ host: 'zk1', port: 2182 }], '/'],
    [
      'zookeeper://zk1,10.0.0.2:2182/a/b/',
      [
        { host: 'zk1', port: 2181 },
        { host: '10.0.0.2', port: 2182 },
      ],
      '/a/b',
    ],
    ['zookeeper://zk1/a%20b/50%25', [{ host: 'zk1', port: 2181 }], '/a b/50%'],
    ['zookeeper://[::1]:2181/services', [{ host: '::1', port: 2181 }], '/services'],
  ])('%s', (uri, hosts, path) => {
    expect(parseZooKeeperUri(uri)).toEqual({ hosts, path });
  });

  test.each([
    'zookeeper://',
    'zookeeper:///path',
    'zookeeper://zk1,,zk2/',
    'zookeeper://zk1:0/',
    'zookeeper://zk1:65536',
    'zookeeper://zk1:port',
    'zookeeper://z k',
    'zookeeper://zk1/a//b',
    'zookeeper://zk1/a/../b',
    'zookeeper://zk1/.',
    'zookeeper://zk1/%2E%2E',
    'zookeeper://zk1/%zz',
    'zookeeper://zk1/a\nb',
  ])('%j is refused in one sentence', (uri) => {
    expect(() => parseZooKeeperUri(uri)).toThrow(/ZooKeeper URI.*\.$/);
  });

  test('a password in it is not repeated', () => {
    expect(() => parseZooKeeperUri('zookeeper://me:secret@zk1')).toThrow(/^(?!.*secret).*holds a user/);
  });
});

describe('the ZooKeeper session', () => {
  test('a server that talks nonsense is an error that names it, and no more', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).end(Buffer.from([0, 0, 0, 2, 9, 9])));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const registry = await zooKeeper(`zookeeper://127.0.0.1:${port}`, context);
    await expect(registry.connect(signal)).rejects.toThrow(
      `No ZooKeeper server answers (127.0.0.1:${port}: the server does not speak the ZooKeeper protocol)`,
    );
    await registry.close();
    server.close();
  });

  test('a server that takes connections and is silent is given up in a third of the time-out; close ends it at once', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).resume());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const uri = `zookeeper://127.0.0.1:${port}`;
    const registry = await zooKeeper(uri, { ...context, ttl: 3 });
    const started = performance.now();
    await expect(registry.connect(signal)).rejects.toThrow('no answer in time');
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(performance.now() - started).toBeLessThan(2_000);

    const connecting = registry.connect(signal);
    await registry.close();
    await expect(connecting).rejects.toThrow('closed');
    await expect(registry.connect(signal)).rejects.toThrow('closed');
    await new Promise((resolve) => server.close(resolve));
  });

  test('nobody at the address is an error with the reason', async () => {
    const registry = await zooKeeper('zookeeper://127.0.0.1:1', context);
    await expect(registry.connect(signal)).rejects.toThrow('127.0.0.1:1: connect ECONNREFUSED');
    await registry.close();
  });

  test('an error code that the client does not know ends nothing', () => {
    const { create } = zookeeper.Exception as unknown as { create(code: number): { getCode(): number } };
    expect(create(-125).getCode()).toBe(-125);
    expect(create(-101).getCode()).toBe(zookeeper.Exception.NO_NODE);
  });
});
