import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { EtcdServer } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { RecordingConsul } from '../support/recorder.ts';
import type { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';
import { logged, soon, start } from './support.ts';

/** What somebody may write in a label that a path, a URL, a log line, a DNS name or a page could be made of. */
const HOSTILE = [
  '..',
  '.',
  '../../root',
  'a/../../../operators',
  '/operators',
  'a//b',
  'a\nb',
  'x"}\n{"level":"error","msg":"forged"}',
  '\r\nX-Forged: yes\r\n\r\nGET /v1/agent/leave',
  '\u001b[2J\u001b[31mred',
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  'a?replace-existing-checks=1&token=x#y',
  '%2e%2e%2f%2e%2e%2foperators',
  'a%00b',
  'a\u0000b',
  'é😀\ud800',
  '\u202eevil\u2028line',
  'a.b.service.consul',
  '*',
  'x'.repeat(300),
  '__proto__',
  'constructor',
  '_registrator',
  '$(reboot)`reboot`',
  '{{ .Config.Env }}',
  ' ',
];

let docker: SimulatedDocker;
let consul: ConsulServer;
let etcd: EtcdServer;
let recorder: RecordingConsul;
let registrator: Registrator;
let http: number;
let dns: number;
let operators: { kv: unknown; etcd: ReadonlyMap<string, string>; services: unknown };

beforeAll(async () => {
  [consul, etcd] = await Promise.all([new ConsulServer().start(), new EtcdServer().start()]);
  recorder = await new RecordingConsul().start();
  docker = await new SimulatedDocker().up();
  for (const key of ['operators', 'root', 's-operators', 'a']) {
    await consul.api('PUT', `/v1/kv/${key}`, 'keep');
    await etcd.ctl('put', `/${key}`, 'keep');
  }
  await consul.api('PUT', '/v1/agent/service/register', { ID: 'operators', Name: 'operators' });
  operators = await others();
  [http, dns] = [await freePort(), await freePort()];
  registrator = start(docker.host, [
    ...['-resync', '2', '--log-level', 'debug'],
    `memory://127.0.0.1:${http}?dns=${dns}`,
    `consul://${recorder.address}`,
    `consul://${consul.address}`,
    `consulkv://${consul.address}/s`,
    `etcd://${etcd.address}/s`,
  ]);
  await logged(registrator, 'looked at every container');
  for (const [n, text] of HOSTILE.entries()) {
    const publish = { '80/tcp': 0 };
    docker.run({ name: `name-${n}`, publish, labels: { SERVICE_NAME: text, SERVICE_TAGS: text } });
    docker.run({ name: `id-${n}`, publish, labels: { SERVICE_ID: text, [`SERVICE_${text}`]: text } });
    docker.run({
      name: `check-${n}`,
      publish,
      labels: { SERVICE_CHECK_HTTP: `/${text}`, SERVICE_CHECK_HTTP_HEADER: `X: ${text}`, SERVICE_IP: text },
    });
    docker.run({ name: `image-${n}`, publish, image: text });
    // No real engine takes such a name, but what answers at the socket may be no real engine.
    docker.run({ name: `${text}-${n}`, publish });
  }
  await eventually(async () => Object.keys(await catalogue('/v1/agent/services')).length >= 4 * HOSTILE.length);
  await settled();
});
afterAll(async () => {
  await registrator[Symbol.asyncDispose]();
  await recorder.stop();
  await docker[Symbol.asyncDispose]();
  await Promise.all([consul.dispose(), etcd.dispose()]);
});

/** What operators hold, in all registries. */
async function others() {
  return {
    kv: (await consul.api<{ Key: string; Value: string }[]>('GET', '/v1/kv/?recurse'))
      .filter(({ Key }) => !/^(s|_registrator)\//.test(Key))
      .map(({ Key, Value }) => [Key, Value]),
    etcd: new Map([...(await etcd.list('')).entries()].filter(([key]) => !/^\/(s|_registrator)\//.test(key))),
    services: (await consul.api<Record<string, unknown>>('GET', '/v1/agent/services')).operators,
  };
}

async function catalogue(path: string): Promise<Record<string, never>> {
  return (await fetch(`http://127.0.0.1:${http}${path}`)).json() as Promise<Record<string, never>>;
}

/** Until nobody has written for a second. */
async function settled(): Promise<void> {
  let last = '';
  let since = performance.now();
  await eventually(
    async () => {
      const now = JSON.stringify([
        recorder.puts.length,
        [...(await etcd.list('')).keys()],
        registrator.lines.filter(({ msg }) => msg === 'registered' || msg === 'deregistered').length,
      ]);
      if (now !== last) since = performance.now();
      last = now;
      return performance.now() - since > 1_000;
    },
    { deadlineMs: 30_000 },
  );
}

async function ask(labels: readonly Buffer[], type: number) {
  const socket = createSocket('udp4');
  const name = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
  const header = Buffer.from('000101000001000000000000', 'hex');
  socket.send(Buffer.concat([header, name, Buffer.of(0, type, 0, 1)]), dns, '127.0.0.1');
  const [reply] = (await once(socket, 'message', { signal: AbortSignal.timeout(3_000) })) as [Buffer];
  socket.close();
  return decode(reply);
}

describe('hostile labels, images and names', () => {
  it('reach no key outside of their own place: etcd', async () => {
    const keys = [...(await etcd.list('')).keys()].filter((key) => !operators.etcd.has(key));
    expect(keys.length).toBeGreaterThan(3 * HOSTILE.length);
    expect(keys.filter((key) => !/^\/s\/[^/]+\/[^/]+$|^\/_registrator\/[^/]+$/.test(key))).toEqual([]);
    expect(keys.filter((key) => /\/\.\.?(\/|$)|\p{Cc}/u.test(key))).toEqual([]);
    expect((await others()).etcd).toEqual(operators.etcd);
  });

  it("reach no key outside of their own place: Consul's KV store", async () => {
    const keys = (await consul.api<string[]>('GET', '/v1/kv/?keys')).filter((key) => /^(s|_registrator)\//.test(key));
    expect(keys.length).toBeGreaterThan(3 * HOSTILE.length);
    expect(keys.filter((key) => !/^s\/[^/]+\/[^/]+$|^_registrator\//.test(key))).toEqual([]);
    expect((await others()).kv).toEqual(operators.kv);
  });

  it("call nothing of Consul's API but what is meant, with the ID as one part of the path", async () => {
    const paths = [...new Set(recorder.requests)];
    const meant =
      /^(GET \/v1\/(status\/leader|agent\/services|agent\/service\/[^/?]+|agent\/checks)|PUT \/v1\/agent\/(service\/(register|deregister\/[^/?]+|maintenance\/[^/?]+\?.*)|check\/update\/[^/?]+))$/;
    expect(paths.filter((path) => !meant.test(path))).toEqual([]);
    expect(recorder.puts.filter(({ headers }) => headers['x-forged'] !== undefined)).toEqual([]);
    expect((await others()).services).toEqual(operators.services);
  });

  it('make no log line that is not whole, and forge none', () => {
    const lines = registrator.stdout.split('\n').slice(0, -1);
    expect(lines.length).toBeGreaterThan(HOSTILE.length);
    for (const line of lines)
      expect(Object.keys(JSON.parse(line))).toEqual(expect.arrayContaining(['level', 'time', 'msg']));
    expect(registrator.lines.filter(({ msg }) => msg === 'forged')).toEqual([]);
    expect(registrator.stdout).not.toMatch(/[^\P{Cc}\n]/u);
    expect(registrator.stderr).toBe('');
    expect(registrator.lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });

  it('make no DNS answer but addresses of this host under the name that was asked for', async () => {
    let found = 0;
    for (const text of HOSTILE) {
      const label = Buffer.from(text).subarray(0, 63);
      const suffix = ['service', 'consul'].map((part) => Buffer.from(part));
      for (const type of [1, 33, 255]) {
        const reply = await ask([label, ...suffix], type);
        expect(['NOERROR', 'NXDOMAIN']).toContain((reply as unknown as { rcode: string }).rcode);
        // What is decoded and encoded again is as long: no record was smuggled in by a length or a label.
        expect(() => encode(reply)).not.toThrow();
        for (const answer of [...(reply.answers ?? []), ...(reply.additionals ?? [])]) {
          if (answer.type === 'A') found += 1;
          if (answer.type === 'A') expect(answer.data).toBe('10.9.8.7');
          else if (answer.type === 'SRV') expect(answer.data.target).toMatch(/^[a-z0-9.-]+$/i);
          else expect(['TXT', 'OPT', 'CNAME']).toContain(answer.type);
        }
      }
    }
    expect(found).toBeGreaterThan(HOSTILE.length);
  });

  it('are text in JSON, and never markup in a page', async () => {
    const services = await fetch(`http://127.0.0.1:${http}/v1/catalog/services`);
    expect(services.headers.get('content-type')).toBe('application/json');
    const script = '<script>alert(1)</script>';
    expect(Object.keys((await services.json()) as object)).toContain(script);
    for (const path of [
      '/',
      '/ui',
      '/ui/',
      '/v1/catalog/service/<script>alert(1)</script>',
      '/<script>alert(1)</script>',
    ]) {
      const response = await fetch(`http://127.0.0.1:${http}${path}`, { headers: { Accept: 'text/html' } });
      const body = await response.text();
      const isPage = /html/.test(response.headers.get('content-type') ?? '');
      if (isPage) expect(body, path).not.toMatch(/<script>alert|<img src=x/);
    }
  });

  it('are all gone when the containers are, and what is not ours is as it was', async () => {
    for (const id of docker.containers) docker.remove(id);
    await soon(
      async () => {
        expect(await catalogue('/v1/agent/services')).toEqual({});
        expect([...recorder.services.keys()]).toEqual([]);
        expect(Object.keys(await consul.api<object>('GET', '/v1/agent/services'))).toEqual(['operators']);
        expect([...(await etcd.list('')).keys()]).toEqual([...operators.etcd.keys()]);
        const keys = await consul.api<string[]>('GET', '/v1/kv/?keys');
        expect(keys.filter((key) => /^(s|_registrator)\//.test(key))).toEqual([]);
      },
      { deadlineMs: 20_000 },
    );
    expect(await others()).toEqual(operators);
    expect(await registrator.stop()).toBe(0);
  });
});
