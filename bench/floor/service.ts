import type { ContainerSnapshot } from '../../src/docker/index.ts';

/** Of a service, what any registrator must write. */
export interface LeanService {
  readonly id: string;
  readonly name: string;
  readonly port: number;
}

/** The published ports of an inspected container, by the plainest rule that gives the right answer for the bench's. */
export function services({ Name, Config, NetworkSettings }: ContainerSnapshot): LeanService[] {
  const base = Config.Image.slice(Config.Image.lastIndexOf('/') + 1).split(':')[0];
  const ports = Object.entries(NetworkSettings.Ports ?? {}).filter(([, bindings]) => bindings !== null);
  return ports.map(([key, bindings]) => {
    const exposed = key.split('/')[0];
    return {
      id: `floor:${Name.slice(1)}:${exposed}`,
      name: ports.length > 1 ? `${base}-${exposed}` : `${base}`,
      port: Number(bindings?.[0]?.HostPort),
    };
  });
}

/** The body of Consul's register call. */
export function registration({ id, name, port }: LeanService): string {
  const Meta = { 'registrator-host': 'floor', 'registrator-engine': 'floor' };
  return JSON.stringify({ ID: id, Name: name, Port: port, Address: '127.0.0.1', Meta, Check: null });
}
