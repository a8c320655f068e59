import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import {
  BatchError,
  createRegistry,
  ForbiddenError,
  RefusedError,
  type Registry,
} from '../../../src/registries/index.ts';
import type { Service } from '../../../src/services/index.ts';
import { RecordingConsul } from '../../support/recorder.ts';
import { service } from '../../support/service.ts';

/**
 * What Consul 1.11 to 1.22 answer otherwise than 1.8, which is the one that the tests run: by Consul's documentation and
 * the words of its agent (agent/acl.go, agent/structs).
 */
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const { signal } = new AbortController();

async function open(
  env: Readonly<Record<string, string>> = {},
): Promise<{ consul: RecordingConsul; registry: Registry }> {
  const consul = await new RecordingConsul().start();
  cleanUp.push(() => consul[Symbol.asyncDispose]());
  const owner = { host: 'node1', engine: 'ENGINE' };
  const registry = await createRegistry(`consul://${consul.address}`, { owner, env, log: pino({ level: 'silent' }) });
  cleanUp.push(() => registry.close());
  return { consul, registry };
}

/** The agent answers so on this path. */
const answers = (consul: RecordingConsul, path: string, status: number, body: string) => {
  consul.intercept = (_method, url) => (url.startsWith(path) ? { status, body } : undefined);
};

const failureOf = async (work: Promise<unknown>, { id }: Service): Promise<Error | undefined> => {
  const error = await work.catch((cause: unknown) => cause);
  return error instanceof BatchError ? error.failures.get(id) : undefined;
};

const UNKNOWN_CHECK = 'Unknown check ID "service:redis". Ensure that the check ID is passed, not the check name.';
const docker: Service = service({ check: { type: 'docker', ttl: '60s' }, health: { status: 'passing', output: '' } });

describe('with a Consul of today', () => {
  test('a service that somebody else removed first counts as removed', async () => {
    const { consul, registry } = await open();
    await registry.register([service()], signal);
    const entries = await registry.registered(signal);
    const words = 'Unknown service ID "redis". Ensure that the service ID is passed, not the service name.';
    answers(consul, '/v1/agent/service/deregister/', 404, words);
    await registry.deregister(entries, signal);
    answers(consul, '/v1/agent/service/', 404, words);
    await registry.deregister(entries, signal);
  });

  test('a check that is gone already is no failure when it is no longer wanted', async () => {
    const { consul, registry } = await open();
    await registry.register([docker], signal);
    answers(consul, '/v1/agent/check/deregister/', 404, UNKNOWN_CHECK);
    await registry.register([service()], signal);
    expect(consul.puts.at(-1)?.path).toMatch(/^\/v1\/agent\/check\/deregister\//);
  });

  test('health that is told of a check that the agent lost is no refusal of the service', async () => {
    const { consul, registry } = await open();
    await registry.register([docker], signal);
    answers(consul, '/v1/agent/check/update/', 404, UNKNOWN_CHECK);
    const failure = await failureOf(registry.refresh?.([docker], signal) ?? Promise.resolve(), docker);
    expect(failure).toBeInstanceOf(Error);
    expect(failure).not.toBeInstanceOf(RefusedError);
  });

  test('what a token lacks is told in its words', async () => {
    const { consul, registry } = await open({ CONSUL_HTTP_TOKEN: 'secret' });
    const words =
      "Permission denied: token with AccessorID '00000000-0000-0000-0000-000000000002' lacks permission 'service:write' on \"redis\"";
    answers(consul, '/v1/agent/service/register', 403, words);
    const failure = await failureOf(registry.register([service()], signal), service());
    expect(failure).toBeInstanceOf(ForbiddenError);
    expect(failure?.message).toBe(
      `Consul says «${words}»: the token lacks service:write for "redis". Set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to one that has it.`,
    );
  });

  test('a token that it does not know, and one where ACLs are off', async () => {
    const { consul, registry } = await open({ CONSUL_HTTP_TOKEN: 'secret' });
    answers(consul, '/v1/acl/token/self', 403, 'ACL not found');
    await expect(registry.connect(signal)).rejects.toThrow('Consul does not know the token');
    answers(consul, '/v1/acl/token/self', 401, 'ACL support disabled');
    await registry.connect(signal);
  });

  test('services and checks are read with the fields that came since', async () => {
    const { consul, registry } = await open();
    await registry.register([docker], signal);
    const [before] = await registry.registered(signal);
    const newer = {
      Kind: '',
      PeerName: '',
      Partition: 'default',
      Namespace: 'default',
      TaggedAddresses: { lan_ipv4: { Address: '10.0.0.1', Port: 32768 } },
      Locality: { Region: 'eu-west-1', Zone: 'a' },
      ContentHash: '5d286f5494330b04',
      Ports: null,
    };
    const check = {
      Type: 'ttl',
      Interval: '',
      Timeout: '',
      ExposedPort: 0,
      PeerName: '',
      Definition: {},
      CreateIndex: 0,
    };
    const extended = async (path: string, more: object) => {
      const answer = (await (await fetch(`http://${consul.address}${path}`)).json()) as Record<string, object>;
      return JSON.stringify(Object.fromEntries(Object.entries(answer).map(([id, held]) => [id, { ...held, ...more }])));
    };
    const services = await extended('/v1/agent/services', newer);
    const checks = await extended('/v1/agent/checks', check);
    consul.intercept = (_method, url) => {
      if (url === '/v1/agent/services') return { status: 200, body: services };
      return url === '/v1/agent/checks' ? { status: 200, body: checks } : undefined;
    };
    expect(await registry.registered(signal)).toEqual([before]);
  });
});
