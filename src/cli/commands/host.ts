import pMap from 'p-map';
import { deriveOptions, hostFacts, ownAddress, ownAddresses, ServiceResolver } from '../../discovery/index.ts';
import { type ContainerSnapshot, DockerHost, dockerConnection } from '../../docker/index.ts';
import type { Environment } from '../../lib/environment.ts';
import type { Options } from '../../options.ts';
import type { Owner } from '../../registries/index.ts';
import type { Derivation } from '../../services/index.ts';

/** Inspections under way at once. */
const CONCURRENCY = 16;

export interface Looked {
  readonly snapshot: ContainerSnapshot;
  readonly derivation: Derivation;
}

/** A Docker host looked at once, for a command that ends. */
export class Host {
  readonly owner: Owner;
  /** Whether `--hostname` gives it a name that its engine does not know. */
  readonly isRenamed: boolean;
  /** The host's own address, where known. */
  readonly address: string | undefined;
  readonly #docker: DockerHost;
  readonly #resolver: ServiceResolver;

  private constructor(
    docker: DockerHost,
    resolver: ServiceResolver,
    owner: Owner,
    isRenamed: boolean,
    address: string | undefined,
  ) {
    this.#docker = docker;
    this.#resolver = resolver;
    this.owner = owner;
    this.isRenamed = isRenamed;
    this.address = address;
  }

  /** @throws Error with one sentence where Docker does not answer */
  static async meet(options: Options, env: Environment, signal: AbortSignal): Promise<Host> {
    const docker = new DockerHost(dockerConnection(env));
    const look = async () => {
      const engine = await docker.info(signal);
      return { engine, facts: await hostFacts(options, engine, docker, signal) };
    };
    const { engine, facts } = await look().catch((error: Error) => {
      docker.close();
      throw new Error(
        `Docker at ${docker.name} does not answer (${error.message}). Is the engine up, and may you read its socket?`,
      );
    });
    const host = facts.hostname;
    const derive = deriveOptions(options, facts);
    // Asked for another host's entries, those of this engine are none of them: they would all look stale.
    const isOther = host !== engine.hostname && options.hostname !== undefined;
    const owner = { host, engine: isOther ? '' : engine.id, addresses: () => ownAddresses(options, facts) };
    return new Host(docker, new ServiceResolver(docker, derive), owner, isOther, ownAddress(derive));
  }

  /** @param all with those that do not run. Those that vanish meanwhile are left out. */
  async lookAtAll(all: boolean, signal: AbortSignal): Promise<readonly Looked[]> {
    const listed = (await this.#docker.list(all, signal)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const looked: (Looked | undefined)[] = [];
    await pMap(
      listed.entries(),
      async ([at, { id }]) => {
        looked[at] = await this.lookAt(id, signal);
      },
      { concurrency: CONCURRENCY },
    );
    return looked.filter((one) => one !== undefined);
  }

  /** @returns undefined where there is no such container */
  async lookAt(container: string, signal: AbortSignal): Promise<Looked | undefined> {
    const snapshot = await this.#docker.inspect(container, signal);
    return snapshot && { snapshot, derivation: await this.#resolver.derive(snapshot, signal) };
  }

  close(): void {
    this.#docker.close();
  }
}
