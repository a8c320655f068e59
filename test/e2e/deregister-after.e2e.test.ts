import { afterAll, beforeAll, expect, it } from 'vitest';
import { ConsulServer } from '../support/consul.ts';
import { eventually } from '../support/eventually.ts';
import { Registrator } from '../support/registrator.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

let consul: ConsulServer;
let docker: SimulatedDocker;
beforeAll(async () => {
  [consul, docker] = await Promise.all([new ConsulServer().start(), new SimulatedDocker().up()]);
});
afterAll(() => Promise.all([consul.dispose(), docker[Symbol.asyncDispose]()]));

const labels = { SERVICE_CHECK_TTL: '1s', SERVICE_CHECK_INITIAL_STATUS: 'passing' };
const start = () =>
  new Registrator(['--ip', '10.9.8.7', '--resync', '1', `consul://${consul.address}`], { host: docker.host });
/** Of the one check that there is. */
const state = async () => {
  const checks = await consul.api<Record<string, { Status: string }>>('GET', '/v1/agent/checks');
  return Object.values(checks).map(({ Status }) => Status)[0];
};
const removals = ({ lines }: Registrator) =>
  lines.filter(({ msg }) => msg?.startsWith('the registry removed this service'));

it('a service that Consul removed comes back after the time, doubled each round, and never as passing', async () => {
  docker.run({ name: 'dead', publish: { '80/tcp': 0 }, labels: { ...labels, SERVICE_CHECK_DEREGISTER_AFTER: '3s' } });
  docker.run({ name: 'alive', publish: { '80/tcp': 0 } });
  await using registrator = start();
  await eventually(async () => (await state()) === 'passing', { deadlineMs: 20_000, everyMs: 50 });
  /** Removes it, as Consul's own reaper would after a minute and a half. */
  const remove = async () => {
    const count = removals(registrator).length;
    await eventually(async () => (await state()) === 'critical', { deadlineMs: 20_000 });
    // Until it has been read as critical.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await consul.api('PUT', '/v1/agent/service/deregister/simulated:dead:80');
    await eventually(() => removals(registrator).length > count, { deadlineMs: 10_000 });
  };
  for (const least of [2_000, 5_000]) {
    await remove();
    const from = performance.now();
    await eventually(async () => (await state()) !== undefined, { deadlineMs: 30_000, everyMs: 50 });
    expect(performance.now() - from).toBeGreaterThan(least);
    expect(await state()).toBe('critical');
  }
  expect(removals(registrator)).toMatchObject([
    { level: 'warn', container: 'dead', seconds: 3 },
    { level: 'warn', container: 'dead', seconds: 6 },
  ]);
  expect(Object.keys(await consul.api<object>('GET', '/v1/agent/services'))).toContain('simulated:alive:80');
  // Started again it is a new one, and at once as its label says.
  await remove();
  docker.restart('dead');
  await eventually(async () => (await state()) === 'passing', { deadlineMs: 6_000, everyMs: 50 });
  docker.remove('dead');
  docker.remove('alive');
  await eventually(async () => (await state()) === undefined, { deadlineMs: 10_000 });
}, 120_000);

it('with Consul’s own reaper', async () => {
  docker.run({ name: 'ill', publish: { '80/tcp': 0 }, labels: { ...labels, SERVICE_CHECK_DEREGISTER_AFTER: '1m' } });
  await using registrator = start();
  // Critical for a minute, which Consul looks for every 30 s.
  await eventually(() => removals(registrator).length > 0, { deadlineMs: 130_000 });
  expect(removals(registrator)).toMatchObject([{ level: 'warn', container: 'ill', seconds: 60 }]);
  await eventually(async () => (await state()) !== undefined, { deadlineMs: 90_000, everyMs: 50 });
  expect(await state()).toBe('critical');
}, 240_000);
