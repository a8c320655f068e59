import { compact } from '../lib/compact.ts';
import { type HostPort, hostPort } from '../lib/host-port.ts';
import type { HttpRoute } from '../lib/http/route.ts';
import type { Logger } from '../lib/log/index.ts';

import { Reaper } from './checks/reaper.ts';
import { CheckRunner } from './checks/runner.ts';
import type { Upstream } from './dns/forward/index.ts';
import { isDnsName } from './dns/name.ts';
import { DnsServer } from './dns/server.ts';
import { CatalogueServer } from './http/server.ts';
import { AddressInUseError, listenError } from './listen.ts';
import type { Surroundings } from './page/index.ts';
import { restoreSnapshot, SnapshotWriter } from './snapshot.ts';
import { Store } from './store.ts';

export { contentOf } from './content.ts';
export type { Surroundings } from './page/index.ts';
export type { Change } from './store.ts';
export { AddressInUseError, Store };

/** What a person may set of it: `--dns-domain`, `--dns-ttl`, `--dns-forward`, `--snapshot`. */
export interface CatalogueSettings {
  /** Where names of services end in DNS; `consul` by default. */
  readonly domain?: string;
  /** Seconds that DNS answers may be cached; 0 by default, as Consul. */
  readonly ttl?: number;
  /** Resolvers that names outside the domain are asked of; by default such questions are refused. */
  readonly forward?: readonly Upstream[];
  /** What its HTTP server is called by, beside its addresses, localhost and the node's name. */
  readonly httpNames?: readonly string[];
  /** Whether health checks may go to any address that a label names. */
  readonly checkAnyAddress?: boolean;
  /** The file that keeps what it holds over a restart. */
  readonly snapshot?: string;
}

export interface CatalogueOptions extends CatalogueSettings {
  readonly nodeName: string;
  /** The host's address; 127.0.0.1 where it has none. */
  readonly nodeAddress?: string;
  /** Port 0: any free one. */
  readonly http: HostPort;
  /** Absent: no DNS. Port 0: any free one. */
  readonly dns?: HostPort;
  /** Pages beside its own, such as metrics. */
  readonly routes?: readonly HttpRoute[];
  /** What its page shows beside what it holds. */
  readonly surroundings?: () => Surroundings;
  readonly log: Logger;
}

interface Running {
  readonly http: CatalogueServer;
  readonly dns?: DnsServer;
  readonly checks: CheckRunner;
  readonly reaper: Reaper;
  readonly snapshot?: SnapshotWriter;
}

/** Where names end in its DNS, as Consul's do. */
const DOMAIN = 'consul';

/** Milliseconds from the start. */
const WHOLE_LIMIT = 5_000;

/** The embedded registry: what runs here, by Consul's HTTP API and DNS interface. */
export class Catalogue {
  readonly store: Store;
  readonly #options: CatalogueOptions;
  #running: Running | undefined;
  #wholeTimer: NodeJS.Timeout | undefined;

  constructor(options: CatalogueOptions) {
    this.#options = options;
    this.store = new Store({ name: options.nodeName, address: options.nodeAddress ?? '127.0.0.1' }, Date.now());
  }

  /** What finds a service of this name; undefined where it can be written in no DNS name. */
  dnsName(serviceName: string): string | undefined {
    const name = `${serviceName}.service.${this.#options.domain ?? DOMAIN}`;
    return isDnsName(name) ? name : undefined;
  }

  /** The ports that it listens on, while it is started. */
  get httpPort(): number | undefined {
    return this.#running?.http.port;
  }
  get dnsPort(): number | undefined {
    return this.#running?.dns?.port;
  }

  /**
   * Whether it holds all that runs here. While it does not, clients are told that there is no leader, as Consul tells them,
   * and keep what they have; an empty answer would take every target from them at each restart. Not with a snapshot, and
   * not for longer than 5 seconds: one container that Docker does not show must not keep the rest from being found.
   */
  setWhole(whole: boolean): void {
    clearTimeout(this.#wholeTimer);
    this.store.whole = whole;
    if (!whole) {
      this.#wholeTimer = setTimeout(() => {
        this.store.whole = true;
      }, WHOLE_LIMIT).unref();
    }
  }

  /** @throws AddressInUseError where it cannot have its ports; nothing is open then */
  async start(): Promise<void> {
    if (this.#running !== undefined) throw new Error('the catalogue is started already');
    const { log, snapshot: file } = this.#options;
    if (file !== undefined && this.store.size === 0) await restoreSnapshot(file, this.store, log);
    if (this.store.size > 0) this.setWhole(true);
    const checks = new CheckRunner(this.store, log, this.#options.checkAnyAddress);
    const http = await this.#listenHttp(checks);
    const dns = await this.#listenDns().catch(async (error: unknown) => {
      await http.close();
      throw error;
    });
    const reaper = new Reaper(this.store, log);
    const snapshot = file === undefined ? undefined : new SnapshotWriter(file, this.store, log);
    this.#running = compact({ http, checks, reaper, dns, snapshot });
    snapshot?.start();
    checks.start();
    reaper.start();
    const fields = compact({
      http: hostPort(this.#options.http.host, http.port),
      dns: dns && hostPort(this.#options.dns?.host ?? '', dns.port),
    });
    log.info(fields, `the embedded catalogue answers Consul's HTTP API${dns === undefined ? '' : ' and DNS'}`);
  }

  /** Ends every socket and timer at once; the snapshot file is true then. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    clearTimeout(this.#wholeTimer);
    running?.checks.close();
    running?.reaper.close();
    await Promise.all([running?.http.close(), running?.dns?.close(), running?.snapshot?.close()]);
  }

  async #listenHttp(checks: CheckRunner): Promise<CatalogueServer> {
    const { http, log, routes = [], surroundings } = this.#options;
    const server = new CatalogueServer(
      this.store,
      compact({
        ...http,
        log,
        routes,
        dns: () => {
          const port = this.dnsPort;
          return port === undefined ? undefined : { domain: this.#options.domain ?? DOMAIN, port };
        },
        surroundings,
        report: checks.report.bind(checks),
        names: this.#options.httpNames,
      }),
    );
    await server.listen().catch(async (error: unknown) => {
      await server.close();
      throw listenError(error, http.host, http.port, uri(http.host, http.port + 1));
    });
    return server;
  }

  async #listenDns(): Promise<DnsServer | undefined> {
    const { http, dns, domain = DOMAIN, ttl = 0, forward, log } = this.#options;
    if (dns === undefined) return undefined;
    const server = new DnsServer(this.store, compact({ ...dns, domain, ttl, log, forward }));
    await server.listen().catch((error: unknown) => {
      throw listenError(error, dns.host, dns.port, `${uri(http.host, http.port)}?dns=${dns.port + 1}`);
    });
    return server;
  }
}

const uri = (host: string, port: number) => `memory://${hostPort(host, port)}`;
