/**
 * node follow.ts SOCKET [CONSUL_PORT]: on a container's start event inspects it, and registers its services. Without a
 * port it prints `inspected <id> <ms between event and answer>` instead.
 */
import type { ContainerSnapshot } from '../../src/docker/index.ts';
import { LeanClient } from './http.ts';
import { registration, services } from './service.ts';

const [, , socketPath = '', port] = process.argv;
const docker = new LeanClient({ socketPath });
const consul = port === undefined ? undefined : new LeanClient({ host: '127.0.0.1', port: Number(port) });

const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: ['start'] }));
const events = await docker.stream(`/events?filters=${filters}`);
console.log('ready');
let rest = '';
for await (const chunk of events.setEncoding('utf8')) {
  const at = performance.now();
  const lines = (rest + chunk).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) void started(JSON.parse(line).id, at);
}

async function started(id: string, at: number): Promise<void> {
  const snapshot: ContainerSnapshot = JSON.parse((await docker.send('GET', `/containers/${id}/json`)).toString());
  if (consul === undefined) console.log(`inspected ${id} ${performance.now() - at}`);
  for (const service of services(snapshot)) {
    await consul?.send('PUT', '/v1/agent/service/register', registration(service));
  }
}
