import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { BatchError, createRegistry, RefusedError, type Registry } from '../../../src/registries/index.ts';
import { RecordingConsul } from '../../support/recorder.ts';
import { service } from '../../support/service.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

/** What becomes of a service that the agent answers with this status. */
async function failure(status: number, body: string): Promise<Error | undefined> {
  const consul = await new RecordingConsul().start();
  cleanUp.push(() => consul[Symbol.asyncDispose]());
  const owner = { host: 'node1', engine: 'ENGINE' };
  const log = pino({ level: 'silent' });
  const registry: Registry = await createRegistry(`consul://${consul.address}`, { owner, env: {}, log });
  cleanUp.push(() => registry.close());
  consul.intercept = () => ({ status, body });
  const wanted = service();
  const error = await registry.register([wanted], new AbortController().signal).catch((cause: unknown) => cause);
  return error instanceof BatchError ? error.failures.get(wanted.id) : undefined;
}

test.each([
  [429, 'Your IP is issuing too many concurrent connections'],
  [408, ''],
  [500, 'No cluster leader'],
  [503, 'rate limit exceeded'],
])('a Consul that is busy (%i) refuses no service: it is tried again as after an outage', async (status, body) => {
  const error = await failure(status, body);
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(RefusedError);
});

test.each([
  [400, 'Invalid service address'],
  [403, 'Permission denied'],
  [500, 'Scripts are disabled on this agent'],
])('a Consul that says no (%i) does', async (status, body) => {
  expect(await failure(status, body)).toBeInstanceOf(RefusedError);
});
