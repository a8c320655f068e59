/**
 * node nsupdate.ts SOCKET PORT CONCURRENCY: lists the containers, inspects each once, and has BIND's nsupdate register
 * their services: the same records on the same conditions as registrator's, 50 services a message. Prints
 * `done <services>` and exits.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { allOf, markOf, recordsOf } from '../../src/registries/rfc2136/layout.ts';
import { KEY, nsupdateWords } from '../../test/support/dns-server.ts';
import { service } from '../../test/support/service.ts';
import { LeanClient } from './http.ts';
import { type LeanService, services } from './service.ts';

const [, , socketPath = '', port, concurrency] = process.argv;
const docker = new LeanClient({ socketPath }, Number(concurrency));
const BATCH = 50;
const OWNER = { host: 'floor', engine: 'floor' };
const LAYOUT = { zone: 'services.example', tags: false };

const nsupdate = spawn('nsupdate', ['-v', '-y', `${KEY.algorithm}:${KEY.name}:${KEY.secret}`], {
  stdio: ['pipe', 'inherit', 'inherit'],
});
nsupdate.stdin.write(`server 127.0.0.1 ${port}\nzone ${LAYOUT.zone}.\n`);

const ids: string[] = JSON.parse((await docker.send('GET', '/containers/json')).toString()).map(
  ({ Id }: { Id: string }) => Id,
);
let count = 0;
let waiting: LeanService[] = [];
await Promise.all(Array.from({ length: Number(concurrency) }, work));
flush(1);
nsupdate.stdin.end();
const [code] = await once(nsupdate, 'close');
console.log(code === 0 ? `done ${count}` : `nsupdate ended with ${code}`);
process.exit(code);

async function work(): Promise<void> {
  for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
    const snapshot: ContainerSnapshot = JSON.parse((await docker.send('GET', `/containers/${id}/json`)).toString());
    const found = services(snapshot);
    count += found.length;
    waiting.push(...found);
    flush(BATCH);
  }
}

function flush(least: number): void {
  while (waiting.length >= least) {
    const batch = waiting.slice(0, BATCH);
    waiting = waiting.slice(BATCH);
    nsupdate.stdin.write(`${[...new Set(batch.flatMap(lines))].join('\n')}\nsend\n`);
  }
}

function lines(lean: LeanService): string[] {
  const records = recordsOf(
    markOf(service({ container: lean.name, address: '127.0.0.1', ...lean }), OWNER, LAYOUT),
    LAYOUT,
  );
  const names = [...records.own, ...records.shared.map(({ address }) => address)]
    .map(({ name }) => name)
    .filter((name) => name !== records.key);
  const adds = allOf(records).map((record) => `update add ${nsupdateWords(record)}`);
  return [`prereq nxdomain ${records.key}.`, ...names.map((name) => `prereq nxrrset ${name}. CNAME`), ...adds];
}
