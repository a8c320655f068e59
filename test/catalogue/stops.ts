import { once } from 'node:events';
import { connect } from 'node:net';
import { pino } from 'pino';
import { Catalogue } from '../../src/catalogue/index.ts';
import { service } from '../support/service.ts';

/** Starts a catalogue, gives it work of every kind, and stops it: then the process must end by itself. */

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const log = pino({ level: 'silent' });
const catalogue = new Catalogue({ nodeName: 'node1', http: LOOPBACK, dns: LOOPBACK, log });
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
await new Promise((resolve) => setTimeout(resolve, 200));
await catalogue.stop();
await waiting;
setTimeout(() => {
  console.error('still alive:', process.getActiveResourcesInfo());
  process.exit(1);
}, 5000).unref();
