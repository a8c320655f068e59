import { expect, test } from 'vitest';
import { ClaimTable } from '../../src/reconciler/claim-table.ts';
import type { Service } from '../../src/services/index.ts';
import { service } from '../support/service.ts';

function claim(table: ClaimTable, container: string, startedAt: number, id: string) {
  const base = service({ id });
  const one: Service = {
    ...base,
    origin: { ...base.origin, containerId: container, containerName: container, startedAt },
  };
  const entry = { key: id, content: '', id, name: one.name, address: one.address, port: one.port };
  return table.add({ service: one, entry }).map((claims) => claims.service.origin.containerName);
}

test('of two that ask for one ID by label, the one that started last has it', () => {
  const table = new ClaimTable();
  claim(table, 'old', 1, 'shared');
  expect(claim(table, 'new', 2, 'shared')).toEqual(['new', 'old']);
});

test('no label takes the ID that is a container’s own', () => {
  const table = new ClaimTable();
  claim(table, 'app', 1, 'node1:app:80');
  expect(claim(table, 'evil', 2, 'node1:app:80')).toEqual(['app', 'evil']);
  expect(table.get('node1:app:80')?.service.origin.containerName).toBe('app');
});
