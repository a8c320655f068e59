import { spawnSync } from 'node:child_process';

/** Set in a process that runs in a network of its own. */
const MARK = 'REGISTRATOR_TEST_NETWORK';

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
export const isInOwnNetwork = process.env[MARK] === '1';

/**
 * Goes on in a network namespace of its own, as a child that takes this process' place: an engine that is killed and
 * started again removes what its network has of the name docker0, and here that is nobody's. Without root it does nothing.
 */
export function enterOwnNetwork(): void {
  if (!isRoot || isInOwnNetwork || process.platform !== 'linux') return;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status, error } = spawnSync('unshare', ['--net', 'sh', '-c', script, 'sh', ...command], {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: '1' },
  });
  if (error !== undefined) throw error;
  process.exit(status ?? 1);
}
