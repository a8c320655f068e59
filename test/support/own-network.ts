import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Set in a process that runs in a network of its own: the socket of the proxy that leads out of it. */
const OUTSIDE = 'REGISTRATOR_TEST_OUTSIDE';

/**
 * A network with nothing but loopback and a way "outside" that leads nowhere (RFC 5737, RFC 3849), so that a host's own
 * address is found as it is on any other host. Name servers are told of as unreachable: a question fails at once.
 */
const script = `set -e
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
ip link add out0 type veth peer name out1
ip link set out1 up
ip link set out0 up
ip address add 198.51.100.1/24 dev out0
ip route add default dev out0
ip -6 address add 2001:db8:1::1/64 dev out0 nodad 2>/dev/null && ip -6 route add default dev out0 || true
for server in $(sed -n 's/^nameserver \\([0-9.]*\\)$/\\1/p' /etc/resolv.conf); do ip route add unreachable "$server" || true; done
exec "$@"`;

/** Whether this process may make engines, networks and namespaces. */
export const isRoot = process.getuid?.() === 0;
export const isInOwnNetwork = process.env[OUTSIDE] !== undefined;

/**
 * Goes on in a network namespace of its own, as a child that takes this process' place: an engine that is killed and
 * started again removes what its network has of the name docker0, and here that is nobody's. Without root it does nothing.
 */
export async function enterOwnNetwork(): Promise<void> {
  if (!isRoot || isInOwnNetwork || process.platform !== 'linux') return;
  const folder = mkdtempSync(join(tmpdir(), 'registrator-outside-'));
  const outside = join(folder, 'proxy.sock');
  await connectProxy(outside);
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', ['--net', 'sh', '-c', script, 'sh', ...command], {
    stdio: 'inherit',
    env: { ...process.env, [OUTSIDE]: outside },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  rmSync(folder, { recursive: true });
  process.exit(status);
}

/**
 * A proxy for HTTPS, as in `HTTPS_PROXY`, that leads out of the tests' network: for what installs packages. Loopback of
 * this network has it; the namespace is shared, and what it reaches is what the machine does.
 *
 * @returns its URL
 */
export async function outsideProxy(signal: AbortSignal): Promise<string> {
  const relay = createServer((socket) => couple(socket, connect(process.env[OUTSIDE] ?? '')));
  relay.listen({ port: 0, host: '127.0.0.1', signal });
  await new Promise((resolve) => relay.once('listening', resolve));
  const address = relay.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

/** Serves CONNECT (RFC 9110, 9.3.6) on a Unix socket: a file is reached from every network. */
async function connectProxy(path: string): Promise<void> {
  const proxy = createHttpServer((_, response) => response.writeHead(405).end());
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    const [host = '', port] = url.split(':');
    const target = connect(Number(port), host, () => socket.write('HTTP/1.1 200 Connected\r\n\r\n'));
    couple(socket, target);
  });
  await new Promise((resolve) => proxy.listen(path, () => resolve(undefined)));
}

/** Passes on what either says, and ends both with one of them. */
function couple(a: Socket, b: Socket): void {
  a.pipe(b);
  b.pipe(a);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}
