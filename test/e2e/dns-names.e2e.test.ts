import { afterAll, beforeAll, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { digShort } from '../support/dig.ts';
import { EtcdServer } from '../support/etcd.ts';
import { eventuallyPasses } from '../support/eventually.ts';
import { freePort } from '../support/ports.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

const LONG = 'x'.repeat(64);
const ADVICE = 'give it a SERVICE_NAME of letters, digits and dashes, 63 at most';

let consul: ConsulServer;
let etcd: EtcdServer;
let docker: SimulatedDocker;
beforeAll(async () => {
  [consul, etcd, docker] = await Promise.all([
    new ConsulServer().start(),
    new EtcdServer().start(),
    new SimulatedDocker().up(),
  ]);
  for (const name of ['My_Svc.x', LONG, 'under_score', 'Web']) {
    // Two instances each: it is the name that is told of.
    for (const [index, one] of ['a', 'b'].entries()) {
      docker.run({
        name: `${one}-${name.slice(0, 11)}`,
        publish: { '80/tcp': 0 },
        labels: { SERVICE_NAME: name, SERVICE_INSTANCE: String(index) },
      });
    }
  }
});
afterAll(() => Promise.all([consul.dispose(), etcd.dispose(), docker[Symbol.asyncDispose]()]));

/** What is warned of, by service, once everything is registered. */
async function warnings(uri: string): Promise<Record<string, string[]>> {
  await using registrator = new Registrator(['--ip', '10.9.8.7', uri], { host: docker.host });
  const registered = () => registrator.lines.filter(({ msg }) => msg === 'registered').length;
  await eventuallyPasses(() => expect(registered()).toBe(8), { deadlineMs: 20_000 });
  const warned = registrator.lines.filter(({ level }) => level === 'warn');
  const texts = Map.groupBy(warned, ({ service }) => String(service));
  return Object.fromEntries([...texts].map(([name, lines]) => [name, lines.map(({ msg }) => msg ?? '')]));
}

it('Consul: one warning for each name that its DNS cannot find, and none for the others', async () => {
  expect(await warnings(`consul://${consul.address}`)).toEqual({
    'My_Svc.x': [`no DNS name finds services of the name "My_Svc.x": ${ADVICE}`],
    [LONG]: [`no DNS name finds services of the name "${LONG}": ${ADVICE}`],
  });
  await eventuallyPasses(async () => {
    expect(await digShort(consul.dnsPort, 'web.service.consul')).toContain('10.9.8.7');
    expect(await digShort(consul.dnsPort, 'under_score.service.consul')).toContain('10.9.8.7');
    expect(await digShort(consul.dnsPort, 'My_Svc.x.service.consul')).toEqual([]);
  });
});

it('CoreDNS: one warning for each name that is another one there', async () => {
  const found = await warnings(`coredns://${etcd.address}/services.example`);
  expect(Object.keys(found).sort()).toEqual(['My_Svc.x', LONG].sort());
  const keys = [...(await etcd.list('/skydns/example/services/')).keys()];
  for (const name of ['My_Svc.x', LONG]) {
    expect(found[name]).toHaveLength(1);
    const [, label = ''] = /are found in DNS as ([a-z0-9-]+)\.services\.example; /.exec(found[name]?.[0] ?? '') ?? [];
    expect(keys.filter((key) => key.startsWith(`/skydns/example/services/${label}/`))).toHaveLength(2);
  }
});

it('memory://: dots are well, and 64 characters are not', async () => {
  const [http, dns] = [await freePort(), await freePort()];
  const uri = `memory://127.0.0.1:${http}?dns=${dns}`;
  expect(await warnings(uri)).toEqual({
    [LONG]: [`no DNS name finds services of the name "${LONG}": ${ADVICE}`],
  });
  await using _ = new Registrator(['--ip', '10.9.8.7', uri], { host: docker.host });
  await eventuallyPasses(async () => expect(await digShort(dns, 'My_Svc.x.service.consul')).toContain('10.9.8.7'), {
    deadlineMs: 20_000,
  });
});

it('a registry without DNS: nobody asks for names, and nothing is told of them', async () => {
  expect(await warnings(`etcd://${etcd.address}/plain`)).toEqual({});
});
