import type { DockerEngine } from './engine.ts';

/** The images of the golden containers, by name, with the ports that each exposes. */
const images = {
  'redis:latest': [6379],
  'acme/nginx:1.2': [80, 443],
  'registry.example:5000/team/api:2.0': [8080],
  'named:latest': ['53/udp', '53/tcp'],
  'plain:latest': [],
} as const;

/** Makes the golden images; resolves with each one's ID, `sha256:…`, by name. */
export async function importGoldenImages(engine: DockerEngine): Promise<Record<keyof typeof images, string>> {
  const ids: Partial<Record<keyof typeof images, string>> = {};
  for (const [name, expose] of Object.entries(images) as [keyof typeof images, readonly (string | number)[]][]) {
    ids[name] = await engine.importImage(name, { expose });
  }
  return ids as Record<keyof typeof images, string>;
}
