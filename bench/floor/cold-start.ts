/**
 * node cold-start.ts SOCKET consul|etcd PORT CONCURRENCY: lists the containers, inspects each once, and registers their
 * services: with Consul one call each, with etcd in transactions of 100. Prints `done <services>` and exits.
 */
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { LeanClient } from './http.ts';
import { type LeanService, registration, services } from './service.ts';

const [, , socketPath = '', kind, port, concurrency] = process.argv;
const workers = Number(concurrency);
const docker = new LeanClient({ socketPath }, workers);
const registry = new LeanClient({ host: '127.0.0.1', port: Number(port) }, workers);
const BATCH = 100;

const ids: string[] = JSON.parse((await docker.send('GET', '/containers/json')).toString()).map(
  ({ Id }: { Id: string }) => Id,
);
let count = 0;
let waiting: LeanService[] = [];
await Promise.all(Array.from({ length: workers }, work));
await flush(1);
console.log(`done ${count}`);
process.exit(0);

async function work(): Promise<void> {
  for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
    const snapshot: ContainerSnapshot = JSON.parse((await docker.send('GET', `/containers/${id}/json`)).toString());
    const found = services(snapshot);
    count += found.length;
    if (kind === 'consul') {
      for (const service of found) await registry.send('PUT', '/v1/agent/service/register', registration(service));
    } else {
      waiting.push(...found);
      await flush(BATCH);
    }
  }
}

async function flush(least: number): Promise<void> {
  while (waiting.length >= least) {
    const batch = waiting.slice(0, BATCH);
    waiting = waiting.slice(BATCH);
    const success = batch.map(({ id, name, port: hostPort }) => ({
      requestPut: { key: base64(`/services/${name}/${id}`), value: base64(`127.0.0.1:${hostPort}`) },
    }));
    await registry.send('POST', '/v3/kv/txn', JSON.stringify({ success }));
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
