import { checkKind } from './check.ts';
import { type PortFields, sourceOf } from './fields.ts';
import type { Sources } from './service.ts';

/** What was found out elsewhere: the fields say nothing of it. */
export interface Found {
  /** Of the address, in words. */
  readonly address: string;
  /** Of the name, where no field gives one. */
  readonly name: string;
  /** Whether the container's own port is registered, not the host's. */
  readonly internal: boolean;
  /** Of the metadata that the service has. */
  readonly metaKeys: readonly string[];
  /** Whether `--tags` gave one of the tags. */
  readonly commonTags: boolean;
  /** Whether the container's HEALTHCHECK is a check by itself. */
  readonly healthcheck: boolean;
}

/** Which label, variable, flag or default each field of a service comes from, as `registrator check` shows it. */
export function sourcesOf(fields: PortFields, found: Found): Sources {
  const named = (name: string) => {
    const field = fields.get(name);
    return field === undefined || field.value === '' ? undefined : sourceOf(field);
  };
  const tags = [named('tags'), found.commonTags ? '--tags' : undefined].filter((source) => source !== undefined);
  const kind = checkKind(fields, found.healthcheck);
  return {
    name: named('name') ?? found.name,
    id: named('id') ?? 'default: host, container and port',
    address: found.address,
    port: named('port') ?? (found.internal ? 'exposed port' : 'published port'),
    ...(tags.length === 0 ? {} : { tags: tags.join(', ') }),
    ...(kind === undefined ? {} : { check: named(`check_${kind}`) ?? "default: the image's HEALTHCHECK" }),
    ...Object.fromEntries(found.metaKeys.map((key) => [`meta.${key}`, named(key) ?? 'label'])),
  };
}
