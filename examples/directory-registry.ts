// A registry of one's own: a file for each service in a folder, say for a web server that includes them.
// `registrator --plugin ./directory-registry.ts directory:///srv/services` runs it.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ConflictError,
  defineRegistry,
  type Entry,
  each,
  encodeSegment,
  Findings,
  holderOf,
  markIn,
  ownerMark,
  ownership,
  RefusedError,
  type Registry,
  type RegistryFactory,
  type Service,
} from 'registrator/registry-kit';

type Instance = Pick<Service, 'id' | 'name' | 'address' | 'port' | 'tags' | 'meta'>;

const CONCURRENCY = 16;

const directory: RegistryFactory = async (uri, { owner }) => {
  const folder = uri.replace(/^directory:\/\//, '');
  if (!folder.startsWith('/')) throw new Error('The directory URI must be directory:///absolute/path.');

  const asEntry = (content: string, { id, name, address, port }: Instance): Entry => {
    return { key: `${encodeSegment(id)}.json`, content, id, name, address, port };
  };
  /** What a file says, where there is one. */
  const look = async (key: string, signal: AbortSignal) => {
    const text = await readFile(join(folder, key), { encoding: 'utf8', signal }).catch(unlessMissing);
    return text === undefined ? undefined : { text, instance: parse(text) };
  };
  /** Nothing that is somebody else's is written over, or removed. */
  const expectOwn = async (key: string, signal: AbortSignal) => {
    const there = await look(key, signal);
    if (there === undefined) return;
    const { id = '', address = '', meta = {} } = there.instance ?? {};
    const held = { id, address, mark: markIn(meta) };
    if (ownership(owner, held) !== 'own') throw new ConflictError(`The file ${key}`, holderOf(held));
  };
  let last = new Findings(owner);

  const registry: Registry = {
    name: `directory://${folder}`,
    // Files have no transactions.
    batchSize: 1,
    connect: async () => void (await mkdir(folder, { recursive: true })),
    entry({ id, name, address, port, tags, meta }) {
      const instance = { id, name, address, port, tags, meta: { ...meta, ...ownerMark(owner) } };
      return asEntry(JSON.stringify(instance), instance);
    },
    register: (services, signal) =>
      each(
        services,
        (service) => registry.entry(service).key,
        CONCURRENCY,
        async (service) => {
          const { key, content } = registry.entry(service);
          if (Buffer.byteLength(key) > 200) throw new RefusedError('The ID is too long for the name of a file.');
          await expectOwn(key, signal);
          // Readers see the old file or the new one, and nothing between.
          await writeFile(join(folder, `${key}~`), content, { signal });
          await rename(join(folder, `${key}~`), join(folder, key));
        },
      ),
    deregister: (entries, signal) =>
      each(
        entries,
        ({ key }) => key,
        CONCURRENCY,
        async ({ key }) => {
          await expectOwn(key, signal);
          await rm(join(folder, key), { force: true });
        },
      ),
    async registered(signal) {
      const findings = new Findings(owner);
      for (const key of await readdir(folder)) {
        const file = key.endsWith('.json') ? await look(key, signal) : undefined;
        if (file?.instance) findings.add(asEntry(file.text, file.instance), { mark: markIn(file.instance.meta) });
      }
      last = findings;
      return findings.own;
    },
    others: () => last,
    close: async () => {},
  };
  return registry;
};

const unlessMissing = (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
};

/** Undefined for a file that no registrator wrote. */
function parse(text: string): Instance | undefined {
  try {
    const instance = JSON.parse(text);
    return typeof instance?.id === 'string' && typeof instance.meta === 'object' ? instance : undefined;
  } catch {
    return undefined;
  }
}

export default defineRegistry({ scheme: 'directory', factory: directory });
