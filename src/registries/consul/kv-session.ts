import { checked } from '../../lib/checked.ts';
import { type HttpClient, HttpStatusError } from '../../lib/http/index.ts';
import { LossSignal } from '../../lib/loss-signal.ts';
import { unlessAborted } from '../../lib/unless-aborted.ts';
import { NO_CONSUL, SESSION } from './answers.ts';

/** Seconds (Consul's agent/structs: SessionTTLMin, SessionTTLMax). */
const MIN_TTL = 10;
const MAX_TTL = 86_400;

/** A Consul session whose keys are deleted with it: made when first needed, and anew when it is gone. */
export class ConsulSession {
  readonly #client: HttpClient;
  readonly #ttl: number;
  readonly #closed = new AbortController();
  #id: string | undefined;
  #making: Promise<string> | undefined;
  readonly #lossSignal = new LossSignal();

  /** @param ttl seconds; throws an Error with one sentence when Consul takes no such TTL */
  constructor(client: HttpClient, ttl: number) {
    if (ttl < MIN_TTL || ttl > MAX_TTL)
      throw new Error(
        `--ttl ${ttl} does not do for consulkv: Consul takes sessions of ${MIN_TTL} to ${MAX_TTL} seconds.`,
      );
    this.#client = client;
    this.#ttl = ttl;
  }

  /** The session's ID, where there is one now. */
  get present(): string | undefined {
    return this.#id;
  }

  /** The session's ID; makes one where there is none. */
  async id(signal: AbortSignal): Promise<string> {
    if (this.#id !== undefined) return this.#id;
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return unlessAborted(this.#making, signal);
  }

  /** False when it was gone. */
  async renew(signal: AbortSignal): Promise<boolean> {
    const id = this.#id;
    if (id === undefined) return false;
    try {
      await this.#client.put(`/v1/session/renew/${id}`, undefined, { signal });
      return true;
    } catch (error) {
      if (!(error instanceof HttpStatusError) || error.status !== 404) throw error;
      this.forget(id);
      return false;
    }
  }

  /** Consul says that it knows no such session: what was locked by it is deleted. */
  forget(id: string): void {
    if (this.#id !== id) return;
    this.#id = undefined;
    this.#lossSignal.tell('the Consul session expired');
  }

  /** Resolves when the session, and the keys with it, turn out to be gone. Rejects on abort. */
  lost(signal: AbortSignal): Promise<string> {
    return this.#lossSignal.next(signal);
  }

  /** Ends what is under way. The session stays until its TTL, and the keys with it. */
  close(): void {
    this.#closed.abort(new Error('the connection to Consul is closed'));
  }

  async #make(): Promise<string> {
    const body = {
      Name: 'registrator',
      TTL: `${this.#ttl}s`,
      Behavior: 'delete',
      LockDelay: '0s',
      // The TTL alone decides, not the health of the agent's node.
      Checks: [],
      NodeChecks: [],
    };
    const { data } = await this.#client
      .put<unknown>('/v1/session/create', body, { signal: this.#closed.signal })
      .catch((error: unknown) => {
        if (!(error instanceof HttpStatusError) || error.status !== 403) throw error;
        throw new Error(
          "Consul refuses a session, which --ttl needs: the token lacks session:write for the agent's node. Set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to one that has it.",
        );
      });
    const { ID } = checked(SESSION, data, NO_CONSUL);
    this.#id = ID;
    return ID;
  }
}
