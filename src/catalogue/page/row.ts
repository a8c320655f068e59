import { compact } from '../../lib/compact.ts';
import { shortId } from '../../lib/short-id.ts';
import { describeCheck, type HealthStatus, type Protocol, type Service } from '../../services/index.ts';

/** One instance, as the page shows it. Whatever stands in it is text from labels and names: never markup. */
export interface Row {
  readonly key: string;
  /** The service's ID. */
  readonly id: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly exposedPort: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** `none`: nothing checks it; `elsewhere`: its registry does. */
  readonly health: HealthStatus | 'none' | 'elsewhere';
  readonly checks: readonly RowCheck[];
  readonly container: string;
  /** Docker's short ID. */
  readonly containerId: string;
  readonly image: string;
  readonly networks: readonly string[];
  /** Where each field comes from, in words, by field. */
  readonly sources: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch at which the container started; 0 where Docker does not say. */
  readonly since: number;
  /** It is what the snapshot file says; Docker has not confirmed it yet. */
  readonly fromSnapshot: boolean;
  /** Why registries that show nobody a service's health do not hold it now. */
  readonly unready?: string;
}

export interface RowCheck {
  /** What it asks, such as a URL. */
  readonly what: string;
  readonly interval?: string;
  readonly status: HealthStatus | 'elsewhere';
  /** What it said last. */
  readonly output: string;
}

/** Characters of a check's output that are shown. */
const LONGEST_OUTPUT = 1000;

const UNREADY = 'Its HEALTHCHECK does not say healthy (--require-healthy): registries without health do not hold it.';

export type Health = Pick<Row, 'health' | 'checks'>;

/** The row of a service. @param address where its own is empty */
export function rowOf(service: Service, { health, checks }: Health, address = ''): Omit<Row, 'key'> {
  const { origin } = service;
  return compact({
    id: service.id,
    service: service.name,
    address: service.address || address,
    port: service.port,
    protocol: service.protocol,
    exposedPort: origin.exposedPort,
    tags: service.tags,
    meta: service.meta,
    health,
    checks: checks.map((check) => ({ ...check, output: check.output.slice(0, LONGEST_OUTPUT) })),
    container: origin.containerName,
    containerId: shortId(origin.containerId),
    image: origin.image,
    networks: origin.networks ?? [],
    sources: origin.sources ?? {},
    since: origin.startedAt,
    fromSnapshot: false,
    unready: service.unready && UNREADY,
  });
}

/** What the service's own check asks. */
export function checkOf({ check }: Service): Pick<RowCheck, 'what' | 'interval'> {
  if (check === undefined) return { what: 'Maintenance' };
  return compact({ what: describeCheck(check), interval: check.interval });
}
