import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registryConformance } from 'registrator/registry-kit';
import * as vitest from 'vitest';
import directory from './directory-registry.ts';

registryConformance(
  {
    name: 'directory',
    make: directory.factory,
    async start() {
      const folder = await mkdtemp(join(tmpdir(), 'registrator-directory-'));
      return { uri: (test) => `directory://${folder}/${test}`, stop: () => rm(folder, { recursive: true }) };
    },
    refused: (service) => ({ ...service, id: 'x'.repeat(300) }),
  },
  vitest,
);
