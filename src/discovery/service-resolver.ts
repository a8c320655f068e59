import type { ContainerSnapshot, DockerHost } from '../docker/index.ts';
import { compact } from '../lib/compact.ts';
import { HttpClient } from '../lib/http/index.ts';
import {
  type Derivation,
  type DeriveContext,
  type DeriveOptions,
  derive,
  joinedContainer,
  type Notice,
  needsImageTags,
  swarmServiceId,
} from '../services/index.ts';

/** httpGet of `--tags`: how long, in milliseconds, and how much: what a template may hold. */
const FETCH_TIMEOUT = 10_000;
const FETCH_BYTES = 262_144;
const FETCH_ROUNDS = 5;

/** Gathers from Docker what deriving the services of a container needs beside the container itself, and derives them. */
export class ServiceResolver {
  #options: DeriveOptions;
  readonly #docker: DockerHost;

  constructor(docker: DockerHost, options: DeriveOptions) {
    this.#options = options;
    this.#docker = docker;
  }

  /** The host has other addresses. */
  hostMoved(hostAddress: DeriveOptions['hostAddress']): void {
    this.#options = { ...this.#options, hostAddress };
  }

  /** @throws Docker's error where it does not answer */
  async derive(snapshot: ContainerSnapshot, signal: AbortSignal): Promise<Derivation> {
    const fetched = new Map<string, string>();
    const unanswered: Notice[] = [];
    const context = { fetched, ...(await this.#context(snapshot, unanswered, signal)) };
    for (let round = 1; ; round += 1) {
      const derivation = derive(snapshot, this.#options, context);
      if (derivation.fetches.length === 0 || round > FETCH_ROUNDS) {
        return { ...derivation, notices: [...derivation.notices, ...unanswered] };
      }
      for (const url of derivation.fetches) fetched.set(url, await fetchText(url, unanswered, signal));
    }
  }

  async #context(snapshot: ContainerSnapshot, notices: Notice[], signal: AbortSignal): Promise<DeriveContext> {
    const other = joinedContainer(snapshot);
    const joined = other === undefined ? undefined : await this.#docker.inspect(other, signal);
    const swarmService = await this.#swarmService(snapshot, notices, signal);
    return compact({
      joined,
      swarmService,
      ...(needsImageTags(snapshot) ? { imageTags: await this.#docker.imageTags(snapshot.Image, signal) } : {}),
    });
  }

  async #swarmService(snapshot: ContainerSnapshot, notices: Notice[], signal: AbortSignal): Promise<unknown> {
    const id = this.#options.swarm ? swarmServiceId(snapshot) : undefined;
    if (id === undefined) return undefined;
    const service = await this.#docker.swarmService(id, signal);
    if (service === 'no manager') {
      notices.push({
        level: 'info',
        message:
          'this node is no Swarm manager, and only managers know services: ports published in ingress mode and the labels of the service do not count here; publish with mode=host, or label the containers.',
      });
      return undefined;
    }
    return service;
  }
}

async function fetchText(url: string, notices: Notice[], signal: AbortSignal): Promise<string> {
  const http = new HttpClient({ timeoutMs: FETCH_TIMEOUT, maxBytes: FETCH_BYTES });
  try {
    // Whatever the status: gliderlabs/registrator asks for none either.
    const answer = await http.get<string>(url, { responseType: 'text', validateStatus: null, signal });
    return answer.data;
  } catch (error) {
    signal.throwIfAborted();
    const message = `httpGet in --tags got no answer (${(error as Error).message}); the tag is made as if the answer were empty.`;
    notices.push({ level: 'warn', message });
    return '';
  } finally {
    http.close();
  }
}
