import type { ContainerSnapshot } from '../docker/index.ts';
import { record, text } from '../lib/read.ts';
import type { Container, ContainerPort } from './container.ts';
import { type PortFields, refuse } from './fields.ts';
import { isOver, MAX_NAME } from './limits.ts';
import type { Report } from './report.ts';

/** What the name of a service is made of where no field gives one. */
export interface Naming {
  /** The image's base name. */
  readonly fallback: string;
  /** Where that comes from, in words. */
  readonly fallbackSource: string;
  /** Whether the container offers more than one port: its services then need the port in their names. */
  readonly grouped: boolean;
}

export function serviceName(
  fields: PortFields,
  port: ContainerPort,
  { fallback, grouped }: Naming,
  report: Report,
): string {
  const suffix = grouped ? `-${port.number}` : '';
  const field = fields.get('name');
  if (!field?.value) return `${fallback}${suffix}`;
  const name = field.ports === undefined ? `${field.value}${suffix}` : field.value;
  if (!isOver(MAX_NAME, name)) return name;
  refuse(field, `longer than the ${MAX_NAME} bytes of a name`, report);
  return `${fallback}${suffix}`;
}

/** The image's base name: its last path part without tag and digest; the container's name where there is none. */
export function defaultName(container: Container, imageTags: readonly string[] = []): string {
  const image = knownOnlyById(container)
    ? [...imageTags].sort().find((tag) => !tag.startsWith('<none>'))
    : container.image;
  return baseName(image ?? '') || container.name;
}

function baseName(image: string): string {
  const [withTag = ''] = image.split('@', 1);
  const lastPart = withTag.slice(withTag.lastIndexOf('/') + 1);
  return lastPart.split(':', 1)[0] ?? '';
}

/**
 * Whether the container was started from an image ID, which says nothing of a name: the image's own tags are wanted
 * then, as `DeriveContext.imageTags`. The container's inspection does not have them.
 */
export function needsImageTags(snapshot: ContainerSnapshot): boolean {
  const { Config, Image } = record(snapshot);
  return knownOnlyById({ image: text(record(Config).Image), imageId: text(Image) });
}

/** Docker takes any unambiguous beginning of an ID, which could be a name as well: it has to begin the real one. */
function knownOnlyById({ image, imageId }: Pick<Container, 'image' | 'imageId'>): boolean {
  if (image.startsWith('sha256:') || /^[0-9a-f]{64}$/.test(image)) return true;
  return /^[0-9a-f]{4,}$/.test(image) && imageId.startsWith(`sha256:${image}`);
}
