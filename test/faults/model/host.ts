import type { ContainerSnapshot } from '../../../src/docker/index.ts';
import type { HealthStatus } from '../../support/simulated-container.ts';
import type { SimulatedDocker } from '../../support/simulated-docker.ts';
import type { Kind, Step } from './steps.ts';

/** The host's address at first. */
export const HOST_IP = '10.9.8.7';

/** What a test knows of a container, beside Docker's own view of it. */
interface Modelled {
  readonly id: string;
  readonly kind: Kind;
  /** Host ports by container port. */
  readonly published: Readonly<Record<string, number>>;
  /** For a joiner: whose network it is in. */
  readonly target?: Modelled;
  name: string;
  state: 'up' | 'paused' | 'down';
  health: HealthStatus;
  /** The later it started, the greater. */
  started: number;
}

/**
 * The containers as they are meant to be: does each step to the simulated engine, and says what a registry has to hold
 * then, by rules written down here a second time, from the contract.
 */
export class ModelHost {
  readonly #docker: SimulatedDocker;
  readonly #containers = new Map<string, Modelled>();
  #starts = 0;
  #lastPort: number;
  /** The address that the host has now. */
  address = HOST_IP;

  /** @param lastPort the host port before the first one that is published */
  constructor(docker: SimulatedDocker, lastPort = 20_000) {
    this.#docker = docker;
    this.#lastPort = lastPort;
  }

  apply(step: Step): void {
    // No two containers start in one millisecond, which is all that Docker's clock is read to.
    this.#docker.clockOffset += 5;
    if (step.do === 'run') this.#run(step.name, step.kind, step.id);
    const container = 'name' in step ? this.#containers.get(step.name) : undefined;
    if (container !== undefined) this.#change(container, step);
  }

  #run(name: string, kind: Kind, ownId?: string): void {
    const before = this.#containers.get(name);
    if (before !== undefined) this.#change(before, { do: 'remove', name });
    const target = [...this.#containers.values()].find((other) => other.kind !== 'joiner');
    if (kind === 'joiner' && target === undefined) return;
    const ports: readonly string[] = PORTS[kind];
    const published = Object.fromEntries(ports.map((port) => [port, ++this.#lastPort]));
    const id = this.#docker.create({
      name,
      image: 'team/web:1.0',
      labels: ownId === undefined ? this.#labels(name, kind) : { SERVICE_ID: ownId },
      publish: published,
      ...(kind === 'internal' ? { expose: ['90/tcp'] } : {}),
      ...(kind === 'on-host' ? { expose: ['91/tcp'], network: 'host' } : {}),
      ...(kind === 'checked' ? { healthcheck: true } : {}),
      ...(kind === 'joiner' ? { network: `container:${target?.id}` } : {}),
    });
    const fresh = { id, kind, published, name, state: 'down', health: 'starting', started: 0 } as const;
    const container: Modelled = { ...fresh, ...(kind === 'joiner' && target !== undefined ? { target } : {}) };
    this.#containers.set(name, container);
    this.#change(container, { do: 'start', name });
  }

  #labels(name: string, kind: Kind): Record<string, string> {
    if (kind === 'named') return { SERVICE_NAME: 'shop', SERVICE_TAGS: String.raw`b,a\,c,b` };
    if (kind === 'ignored') return { SERVICE_IGNORE: 'true' };
    if (kind === 'own-id') return { SERVICE_ID: `own-${this.#docker.hostname}-${name}` };
    if (kind === 'shared-id') return { SERVICE_ID: `shared-${this.#docker.hostname}` };
    if (kind === 'internal') return { SERVICE_INTERNAL: 'true' };
    if (kind === 'joiner') return { SERVICE_80_NAME: 'joined' };
    return {};
  }

  #change(container: Modelled, step: Step): void {
    const docker = this.#docker;
    const { id } = container;
    const isDown = container.state === 'down';
    switch (step.do) {
      case 'start':
        docker.start(id);
        if (isDown) this.#started(container);
        return;
      case 'restart':
        docker.restart(id);
        this.#started(container);
        return;
      case 'stop':
      case 'kill':
        docker[step.do](id);
        container.state = 'down';
        return;
      case 'die':
        docker.die(id, step.exitCode);
        container.state = 'down';
        return;
      case 'crash':
        docker.crash(id);
        container.state = 'down';
        return;
      case 'pause':
        docker.pause(id);
        if (!isDown) container.state = 'paused';
        return;
      case 'unpause':
        docker.unpause(id);
        if (!isDown) container.state = 'up';
        return;
      case 'remove':
        docker.remove(id);
        container.state = 'down';
        this.#containers.delete(container.name);
        return;
      case 'rename':
        if (this.#containers.has(step.to)) return;
        docker.rename(id, step.to);
        this.#containers.delete(container.name);
        container.name = step.to;
        this.#containers.set(step.to, container);
        return;
      case 'connect':
      case 'disconnect':
        if (container.kind === 'joiner' || container.kind === 'on-host') return;
        if (step.do === 'connect') docker.connectNetwork(id, step.network);
        else docker.disconnectNetwork(id, step.network);
        return;
      case 'health':
        if (container.kind !== 'checked' || isDown) return;
        docker.health(id, step.status);
        container.health = step.status;
        return;
    }
  }

  #started(container: Modelled): void {
    container.state = 'up';
    container.health = 'starting';
    container.started = ++this.#starts;
  }

  /** What a registry has to hold: `<name> <address>:<port> [<tags>] <health>`, by ID. */
  expected(): Map<string, string> {
    const expected = new Map<string, string>();
    const byStart = [...this.#containers.values()].sort((a, b) => a.started - b.started);
    // Who started last has an ID that several claim.
    for (const container of byStart) for (const [id, text] of this.#services(container)) expected.set(id, text);
    return expected;
  }

  #services(container: Modelled): (readonly [string, string])[] {
    const { kind, name, state, published, target } = container;
    if (state === 'down' || kind === 'ignored') return [];
    if (target?.state === 'down' || !this.#isInNetwork(target ?? container)) return [];
    const id = (port: number) => `${this.#docker.hostname}:${name}:${port}`;
    const health = this.#health(container);
    const at80 = `${this.address}:${(target?.published ?? published)['80/tcp']}`;
    switch (kind) {
      case 'plain':
      case 'checked':
        return [[id(80), `web ${at80} [] ${health}`]];
      case 'pair':
        return [
          [`${id(53)}:udp`, `web-53 ${this.address}:${published['53/udp']} [udp] ${health}`],
          [id(80), `web-80 ${at80} [] ${health}`],
        ];
      case 'named':
        return [[id(80), `shop ${at80} [b|a,c] ${health}`]];
      case 'own-id':
      case 'shared-id': {
        const label = this.#docker.inspect(container.id).Config.Labels?.SERVICE_ID ?? '';
        return [[label, `web ${at80} [] ${health}`]];
      }
      case 'internal': {
        const address = addressOf(this.#docker.inspect(container.id));
        return address === undefined ? [] : [[id(90), `web ${address}:90 [] ${health}`]];
      }
      case 'on-host':
        return [[id(91), `web ${this.address}:91 [] ${health}`]];
      case 'joiner':
        return target?.published['80/tcp'] === undefined ? [] : [[id(80), `joined ${at80} [] ${health}`]];
    }
  }

  /** Docker publishes no port of a container that is in no network. A container that is gone is in none. */
  #isInNetwork({ id }: Modelled): boolean {
    const { Networks } = this.#docker.inspect(id).NetworkSettings;
    return Object.keys(Networks ?? {}).length > 0;
  }

  #health({ kind, state, health }: Modelled): string {
    if (state === 'paused') return 'critical';
    if (kind !== 'checked') return 'passing';
    return { starting: 'critical', healthy: 'passing', unhealthy: 'critical' }[health];
  }
}

const PORTS: Readonly<Record<Kind, readonly string[]>> = {
  plain: ['80/tcp'],
  pair: ['80/tcp', '53/udp'],
  named: ['80/tcp'],
  checked: ['80/tcp'],
  ignored: ['80/tcp'],
  'own-id': ['80/tcp'],
  'shared-id': ['80/tcp'],
  internal: [],
  'on-host': [],
  joiner: [],
};

/** The default bridge's address, else that of the first network by name. */
function addressOf({ NetworkSettings }: ContainerSnapshot): string | undefined {
  const networks = Object.entries(NetworkSettings.Networks ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const addresses = [NetworkSettings.IPAddress, ...networks.map(([, { IPAddress }]) => IPAddress)];
  return addresses.find((address) => address !== undefined && address !== '');
}
