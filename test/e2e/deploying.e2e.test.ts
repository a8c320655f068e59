import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { DockerEngine } from '../support/engine.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { HaproxyServer, NginxServer } from '../support/load-balancers.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';

/**
 * The measure that README names: two replicas of a small HTTP server are replaced one after the other, behind HAProxy
 * (DNS of memory://) and behind nginx (Consul), each with 200 requests a second and no retries.
 */

/** Takes a second to be able to serve, and serves on for three after it was told to stop. */
const SERVER = [
  'sh',
  '-c',
  "trap 'sleep 3; exit 0' TERM; (sleep 1; exec httpd -f -p 80 -h /www) & while :; do wait; done",
];
const EVERY_MS = 5;

let engine: DockerEngine;
let consul: ConsulServer;
beforeAll(async () => {
  engine = await new DockerEngine().start();
  await engine.importImage('app', {
    expose: [80],
    cmd: SERVER,
    healthcheck: '--interval=500ms --start-period=10s CMD wget -q -O /dev/null http://127.0.0.1/',
  });
  consul = await new ConsulServer().start();
});
afterAll(async () => {
  await consul.dispose();
  await engine.dispose();
});

describe('a rolling deployment under 200 requests a second', () => {
  it('fails no request behind HAProxy and behind nginx over ten replacements', { timeout: 240_000 }, async () => {
    const { haproxy, nginx } = await deploy(10, []);
    console.log(`failed: HAProxy ${haproxy.failed} of ${haproxy.sent}, nginx ${nginx.failed} of ${nginx.sent}`);
    expect({ haproxy: haproxy.reasons, nginx: nginx.reasons }).toEqual({ haproxy: [], nginx: [] });
    expect(haproxy.sent).toBeGreaterThan(4_000);
    expect(nginx.sent).toBeGreaterThan(4_000);
  });

  it('fails some with --drain=off, which shows that this measure can fail', { timeout: 240_000 }, async () => {
    const { haproxy, nginx } = await deploy(4, ['--drain=off']);
    console.log(`--drain=off: HAProxy ${haproxy.failed} of ${haproxy.sent}, nginx ${nginx.failed} of ${nginx.sent}`);
    expect(haproxy.failed).toBeGreaterThan(0);
    expect(nginx.failed).toBeGreaterThan(0);
  });
});

async function deploy(replacements: number, flags: readonly string[]) {
  const [http, dns] = [await freePort(), await freePort()];
  const uris = [`memory://:${http}?dns=${dns}`, `consul://${consul.address}`];
  await using registrator = new Registrator(['--ip', '127.0.0.1', '--hostname', 'node1', ...flags, ...uris], {
    host: engine.host,
  });
  await using haproxy = new HaproxyServer(dns, 'app');
  await using nginx = new NginxServer(consul.address, 'app');
  const replicas = [await replica(), await replica()];
  await registrator.waitForLog('looked at every container');
  await Promise.all([haproxy.start(), nginx.start()]);
  // Both replicas stand behind both before the first is replaced.
  await sleep(1_000);
  const load = [new Load(haproxy.port), new Load(nginx.port)] as const;
  for (let n = 0; n < replacements; n += 1) {
    replicas.push(await replica());
    const old = replicas.shift() ?? '';
    await engine.docker('stop', old);
    await engine.docker('rm', old);
  }
  await sleep(1_000);
  const [throughHaproxy, throughNginx] = await Promise.all(load.map((one) => one.end()));
  await engine.removeContainers();
  return { haproxy: throughHaproxy as Result, nginx: throughNginx as Result };
}

/** As people do it: start the next, and go on when it is healthy. */
async function replica(): Promise<string> {
  const id = await engine.run('-P', 'app');
  await eventuallyPasses(async () => expect((await engine.inspect(id)).State.Health?.Status).toBe('healthy'));
  return id;
}

interface Result {
  readonly sent: number;
  readonly failed: number;
  /** What went wrong, each once. */
  readonly reasons: readonly string[];
}

/**
 * A request every five milliseconds, whatever becomes of those before it. Each has a connection of its own: nginx closes
 * idle ones at a reload, which a client that was about to use one would take for a failure.
 */
class Load {
  readonly #reasons = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  readonly #port: number;
  readonly #underWay = new Set<Promise<void>>();
  #sent = 0;
  #failed = 0;

  constructor(port: number) {
    this.#port = port;
    this.#timer = setInterval(() => this.#send(), EVERY_MS);
  }

  async end(): Promise<Result> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return { sent: this.#sent, failed: this.#failed, reasons: [...this.#reasons] };
  }

  #send(): void {
    this.#sent += 1;
    const answered = new Promise<string>((resolve) => {
      get({ port: this.#port, host: '127.0.0.1', agent: false, timeout: 15_000 }, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode === 200 ? '' : `HTTP ${answer.statusCode}`));
        answer.once('error', (error) => resolve(error.message));
      })
        .once('error', (error) => resolve(error.message))
        .once('timeout', () => resolve('no answer'));
    }).then((reason) => {
      this.#underWay.delete(answered);
      if (reason === '') return;
      this.#failed += 1;
      this.#reasons.add(reason);
    });
    this.#underWay.add(answered);
  }
}
