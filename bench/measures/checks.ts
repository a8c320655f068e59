import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/support/ports.ts';
import { SimulatedDocker } from '../../test/support/simulated-docker.ts';
import type { BenchOptions, Outcome } from '../measure.ts';
import { Subject } from '../subject.ts';

const CHECKS = 1_000;
const SILENT = 200;
/** Of the silent ones in one container: the others have a container each. */
const IN_ONE = 100;
/** Seconds. */
const INTERVAL = 5;
const ROUNDS = 6;
/** The interval is up to a tenth more or less, so that checks spread. */
const SPREAD = 1.1;

/** How late checks of services that answer are, beside checks of services that take connections and say nothing. */
export async function checks({ program, say }: BenchOptions): Promise<Outcome> {
  /** When each path was asked for last, and how late that was, in milliseconds. */
  const asked = new Map<string, number>();
  const late: number[] = [];
  const answering = createServer((request, response) => {
    const now = performance.now();
    const before = asked.get(request.url ?? '');
    if (before !== undefined) late.push(Math.max(0, now - before - INTERVAL * SPREAD * 1_000));
    asked.set(request.url ?? '', now);
    response.end('ok');
  }).listen(0, '127.0.0.1');
  const held = new Set<Socket>();
  const silent = createTcp((socket) => void held.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  await Promise.all([once(answering, 'listening'), once(silent, 'listening')]);
  const at = (server: typeof silent) => [
    { HostIp: '127.0.0.1', HostPort: String((server.address() as AddressInfo).port) },
  ];
  const timing = { SERVICE_CHECK_INTERVAL: `${INTERVAL}s`, SERVICE_CHECK_TIMEOUT: `${INTERVAL}s` };

  await using docker = await new SimulatedDocker().up();
  const run = (name: string, ports: number, server: typeof silent) =>
    docker.run({
      name,
      labels: { ...timing, SERVICE_CHECK_HTTP: `/${name}` },
      publish: Object.fromEntries(Array.from({ length: ports }, (_, port) => [`${port + 1}/tcp`, at(server)])),
    });
  for (let n = 0; n < CHECKS - SILENT; n++) run(`well-${n}`, 1, answering);
  run('silent', IN_ONE, silent);
  for (let n = 0; n < SILENT - IN_ONE; n++) run(`silent-${n}`, 1, silent);

  await using subject = new Subject(program, [`memory://127.0.0.1:${await freePort()}?dns=off`], { host: docker.host });
  say(`${CHECKS} checks, ${SILENT} of them silent, for ${INTERVAL * ROUNDS} s`);
  // Ten lines a container are logged.
  await subject.untilRegistered(CHECKS - IN_ONE + 10);
  await sleep(INTERVAL * ROUNDS * 1_000);
  for (const socket of held) socket.destroy();
  answering.closeAllConnections();
  answering.close();
  silent.close();
  const p99 = late.toSorted((a, b) => a - b)[Math.floor(late.length * 0.99)] ?? Number.POSITIVE_INFINITY;
  return {
    rows: [
      {
        measure: `${CHECKS} health checks, ${SILENT} silent: lateness of the others, p99`,
        reach: '< 1 s',
        reached: p99 < 1_000 && asked.size === CHECKS - SILENT,
        registrator: `${Math.round(p99)} ms`,
        note: `${late.length} checks of ${asked.size} services every ${INTERVAL} s, beside ${IN_ONE} silent ports of one container and ${SILENT - IN_ONE} silent containers`,
      },
    ],
  };
}
