import type { Service } from '../../src/services/index.ts';

/** Services as a busy host has them, for the page: names, images, tags and addresses of the usual lengths. */

interface Kind {
  readonly image: string;
  readonly port: number;
  readonly instances?: number;
  readonly tags?: readonly string[];
  readonly check?: 'http' | 'tcp' | 'docker';
}

const KINDS: Readonly<Record<string, Kind>> = {
  web: {
    image: 'registry.example.com:5000/shop/web:2.14.1',
    port: 8080,
    instances: 3,
    check: 'http',
    tags: ['http', 'blue'],
  },
  checkout: {
    image: 'registry.example.com:5000/shop/checkout:1.9.0',
    port: 8080,
    check: 'http',
    tags: ['http', 'blue'],
  },
  search: { image: 'registry.example.com:5000/shop/search:4.2', port: 9200, check: 'tcp' },
  postgres: { image: 'postgres:17.2', port: 5432, check: 'docker', tags: ['primary'] },
  redis: { image: 'redis:7.4-alpine', port: 6379, tags: ['cache', 'primary'] },
  rabbitmq: { image: 'rabbitmq:4-management', port: 5672, check: 'tcp' },
  prometheus: { image: 'prom/prometheus:v3.1.0', port: 9090, check: 'http' },
  grafana: { image: 'grafana/grafana:11.4.0', port: 3000, check: 'http' },
  traefik: {
    image: 'traefik:v3.2',
    port: 80,
    tags: [
      'http',
      'traefik.enable=true',
      'traefik.http.routers.shop.rule=Host(`shop.example.com`) && PathPrefix(`/api/v2/catalogue`)',
    ],
  },
  mailhog: { image: 'mailhog/mailhog:v1.0.1', port: 1025 },
  dns: { image: 'coredns/coredns:1.12.0', port: 53 },
};

const TEAMS = ['', 'billing', 'search', 'stock', 'orders', 'accounts', 'media', 'reports', 'staging', 'partners'];

/**
 * @param count of services
 * @param now milliseconds since the epoch: when it is
 * @param critical how many of them are down
 */
export function fleet(count: number, now: number, critical = 0): Service[] {
  const kinds = Object.entries(KINDS);
  const services: Service[] = [];
  for (let i = 0; i < count; i++) {
    const [base, kind] = kinds[i % kinds.length] as [string, Kind];
    const round = Math.floor(i / kinds.length);
    const team = TEAMS[round % TEAMS.length] ?? '';
    const number = Math.floor(round / TEAMS.length);
    const name = [team, base, number === 0 ? '' : `${number}`].filter(Boolean).join('-');
    const down = i % Math.max(1, Math.floor(count / Math.max(1, critical))) === 1 && i / count < critical;
    for (let at = 1; at <= (kind.instances ?? 1); at++)
      services.push(instance(name, kind, i * 4 + at, at, now, critical > 0 && (down || critical >= count)));
  }
  return services;
}

function instance(
  name: string,
  { image, port, tags = [], check, instances = 1 }: Kind,
  number: number,
  at: number,
  now: number,
  down: boolean,
): Service {
  const container = instances > 1 ? `${name}-${at}` : name;
  const address = '192.0.2.17';
  const hostPort = 32_000 + number;
  const url = `http://${address}:${hostPort}/health`;
  const said = down ? `connect ECONNREFUSED ${address}:${hostPort}` : 'OK';
  const checks = {
    http: { type: 'http', url, interval: '10s' },
    tcp: { type: 'tcp', target: `${address}:${hostPort}`, interval: '10s' },
    docker: { type: 'docker', ttl: '1440m' },
  } as const;
  const kind = check ?? (down ? 'tcp' : undefined);
  return {
    id: `node1:${container}:${port}`,
    name,
    address,
    port: hostPort,
    protocol: port === 53 ? 'udp' : 'tcp',
    tags: port === 53 ? [...tags, 'udp'] : tags,
    meta: tags.includes('blue') ? { team: 'shop', version: '2.14.1' } : {},
    ...(kind === undefined
      ? {}
      : { check: { ...checks[kind], ...(kind === 'docker' ? {} : { initialStatus: down ? 'critical' : 'passing' }) } }),
    ...(kind === 'docker' ? { health: { status: down ? 'critical' : 'passing', output: said } } : {}),
    origin: {
      containerId: number.toString(16).padStart(4, '0').repeat(16),
      containerName: container,
      image,
      exposedPort: port,
      startedAt: now - 60_000 * (1 + ((number * 7919) % 9_000)),
      networks: ['bridge'],
      sources: {
        name: tags.length > 0 ? 'label SERVICE_NAME' : 'default: the image',
        id: 'default: host, container and port',
        address: '--ip',
        port: 'published port',
        ...(tags.length > 0 ? { tags: 'label SERVICE_TAGS' } : {}),
        ...(check === undefined ? {} : { check: `label SERVICE_CHECK_${check.toUpperCase()}` }),
        ...(tags.includes('blue')
          ? { 'meta.team': 'label SERVICE_TEAM', 'meta.version': 'environment SERVICE_VERSION' }
          : {}),
      },
    },
  };
}
