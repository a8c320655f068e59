import { describe, expect, it } from 'vitest';
import { DockerHost, dockerConnection } from '../../src/docker/index.ts';
import { SimulatedDocker } from '../support/simulated-docker.ts';

const { signal } = new AbortController();

async function speakTo(versions: { least: string; newest: string }, env: { DOCKER_API_VERSION?: string } = {}) {
  await using docker = await new SimulatedDocker().up();
  docker.apiVersions = versions;
  const id = docker.run({ name: 'cache' });
  const host = new DockerHost(dockerConnection({ DOCKER_HOST: docker.host, ...env }));
  try {
    await host.info(signal);
    await host.list(false, signal);
    await host.inspect(id, signal);
    return { spoken: [...docker.versionsAsked].sort(), requests: docker.requests };
  } finally {
    host.close();
  }
}

describe("the version of Docker's API", () => {
  it('is settled once, by a ping without a version', async () => {
    const { spoken, requests } = await speakTo({ least: '1.24', newest: '1.43' });
    expect(spoken).toEqual(['', '1.43']);
    expect(requests.get('GET /_ping')).toBe(1);
    expect(requests.has('GET /version')).toBe(false);
  });

  it('is the newest that registrator knows, with a newer engine', async () => {
    expect((await speakTo({ least: '1.44', newest: '1.99' })).spoken).toEqual(['', '1.52']);
  });

  it('is what DOCKER_API_VERSION says, and nobody is asked', async () => {
    const { spoken, requests } = await speakTo({ least: '1.24', newest: '1.50' }, { DOCKER_API_VERSION: '1.42' });
    expect(spoken).toEqual(['1.42']);
    expect(requests.has('GET /_ping')).toBe(false);
  });

  it("of DOCKER_API_VERSION that the engine does not have is refused in the engine's words", async () => {
    const asked = speakTo({ least: '1.24', newest: '1.41' }, { DOCKER_API_VERSION: '1.45' });
    await expect(asked).rejects.toThrow('client version 1.45 is too new. Maximum supported API version is 1.41');
  });

  it('is none with an engine that is too old, or too new', async () => {
    const tooOld = speakTo({ least: '1.12', newest: '1.40' });
    await expect(tooOld).rejects.toThrow(/1\.40, and registrator needs 1\.41/);
    const tooNew = speakTo({ least: '1.60', newest: '1.61' });
    await expect(tooNew).rejects.toThrow(/1\.60, and registrator knows 1\.52/);
  });

  it('is settled anew with each stream of events: the engine may have been replaced', async () => {
    await using docker = await new SimulatedDocker().up();
    docker.apiVersions = { least: '1.24', newest: '1.43' };
    const host = new DockerHost(dockerConnection({ DOCKER_HOST: docker.host }));
    const stream = new AbortController();
    await host.events(undefined, stream.signal);
    docker.apiVersions = { least: '1.24', newest: '1.41' };
    await host.events(undefined, stream.signal);
    await host.list(false, signal);
    expect([...docker.versionsAsked].sort()).toEqual(['', '1.41', '1.43']);
    stream.abort();
    host.close();
  });
});
