import type { AxiosRequestConfig } from 'axios';
import pRetry from 'p-retry';
import { asError } from '../../lib/as-error.ts';
import { compact } from '../../lib/compact.ts';
import { HttpClient, HttpStatusError } from '../../lib/http/index.ts';
import { firstLoss } from '../kit/index.ts';
import type { EtcdTarget } from './uri.ts';

/** Milliseconds that one of several endpoints may take; etcd itself gives up on a lost majority after 7 s. */
const ONE_OF_SEVERAL_MS = 4_000;
const ONLY_ONE_MS = 10_000;
/** Milliseconds after which a call is not tried again. */
const BUDGET_MS = 10_000;
/** Milliseconds between two rounds, and up to twice that: an election passes meanwhile. */
const ROUND_MS = 250;
const ROUNDS = 3;

/** As axios takes it. */
export type EtcdRequest = AxiosRequestConfig & { readonly signal: AbortSignal };

/** The members of one etcd cluster: a call goes to the one that answered last, and on to the next when that fails. */
export class EtcdEndpoints {
  readonly #members: readonly { readonly address: string; readonly client: HttpClient }[];
  #current = 0;

  constructor({ endpoints, tls }: Pick<EtcdTarget, 'endpoints' | 'tls'>) {
    const timeoutMs = endpoints.length > 1 ? ONE_OF_SEVERAL_MS : ONLY_ONE_MS;
    this.#members = endpoints.map((address) => ({
      address,
      client: new HttpClient(
        compact({
          baseUrl: `${tls === undefined ? 'http' : 'https'}://${address}`,
          timeoutMs,
          tls,
        }),
      ),
    }));
  }

  /**
   * For idempotent requests only, as one may be sent again.
   *
   * @throws HttpStatusError with the answer of a member that is well; an Error that lists what is wrong with each of them
   */
  request(request: EtcdRequest): Promise<unknown> {
    const failures = new Map<string, string>();
    return pRetry(() => this.#round(request, failures), {
      retries: ROUNDS - 1,
      minTimeout: ROUND_MS,
      factor: 1,
      randomize: true,
      maxRetryTime: BUDGET_MS,
      signal: request.signal,
      shouldRetry: ({ error }) => !(error instanceof HttpStatusError),
    });
  }

  /** Asks one member after the other. */
  async #round(request: EtcdRequest, failures: Map<string, string>): Promise<unknown> {
    for (let tried = 0; tried < this.#members.length; tried++) {
      const at = this.#current;
      const member = this.#members[at];
      if (member === undefined) break;
      try {
        return (await member.client.request<unknown>(request)).data;
      } catch (error) {
        request.signal.throwIfAborted();
        if (error instanceof HttpStatusError && !isUnwell(error)) throw error;
        failures.set(member.address, asError(error).message);
        // Of many calls that failed at once, the first one moves on for all.
        if (this.#current === at) this.#current = (at + 1) % this.#members.length;
      }
    }
    const list = [...failures].map(([address, reason]) => `${address} (${reason})`).join(', ');
    throw new Error(`etcd does not answer at ${list}`);
  }

  /** Resolves when a member closes a connection that was kept alive. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    const clients = this.#members.map(({ client }) => client);
    return firstLoss(clients, signal);
  }

  close(): void {
    for (const { client } of this.#members) client.close();
  }
}

/** No leader, no majority, shutting down, overloaded proxy: another member may be better, or this one later. */
const isUnwell = ({ status }: HttpStatusError) => status >= 500 || status === 408;
