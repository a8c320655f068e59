import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Catalogue } from '../../src/catalogue/index.ts';
import { service } from '../support/service.ts';

/** Starts a catalogue, gives it work of every kind, and stops it: then the process must end by itself. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const log = pino({ level: 'silent' });
const mute = createSocket('udp4').unref();
mute.bind(0, '127.0.0.1');
await once(mute, 'listening');
const forward = [{ host: '127.0.0.1', port: mute.address().port }];
const folder = await mkdtemp(join(tmpdir(), 'registrator-stops-'));
const snapshot = join(folder, 'snapshot.json');
const catalogue = new Catalogue({ nodeName: 'node1', http: LOOPBACK, dns: LOOPBACK, forward, snapshot, log });
await catalogue.start();
const { httpPort = 0, dnsPort = 0 } = catalogue;
// A server that takes connections and says nothing: the catalogue's own DNS.
const silent = `127.0.0.1:${dnsPort}`;
const deregisterAfter = '1h';
catalogue.store.put(service({ id: 'a', check: { type: 'http', url: `http://${silent}/`, deregisterAfter } }));
catalogue.store.put(service({ id: 'b', check: { type: 'grpc', target: silent, useTls: false, deregisterAfter } }));
catalogue.store.put(service({ id: 'c', check: { type: 'tcp', target: silent } }));
catalogue.store.put(service({ id: 'd', check: { type: 'ttl', ttl: '1h' } }));
const sockets = [httpPort, dnsPort].map((port) => connect(port, '127.0.0.1').resume());
await Promise.all(sockets.map((socket) => once(socket, 'connect')));
const url = `http://127.0.0.1:${httpPort}/v1/health/service/redis`;
const { headers } = await fetch(url);
const waiting = fetch(`${url}?index=${headers.get('x-consul-index')}&wait=10m`).catch(() => undefined);
const page = await fetch(`http://127.0.0.1:${httpPort}/ui/events`);
const resolver = new Resolver({ timeout: 60_000, tries: 1 });
resolver.setServers([`127.0.0.1:${dnsPort}`]);
const asked = resolver.resolve4('www.example.com').catch(() => undefined);
await once(mute, 'message');
await new Promise((resolve) => setTimeout(resolve, 200));
await catalogue.stop();
await waiting;
await page.body?.cancel().catch(() => undefined);
resolver.cancel();
await asked;
await rm(folder, { recursive: true });
setTimeout(() => {
  console.error('still alive:', process.getActiveResourcesInfo());
  process.exit(1);
}, 5000).unref();
