import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

test('the image stands on one base, pinned by its digest, whichever way it is built', () => {
  const [, ofDockerfile] = /^ARG BASE=(.+)$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
  const [, ofBake] = /variable "BASE" \{\s*default = "([^"]+)"/.exec(readFileSync('docker-bake.hcl', 'utf8')) ?? [];
  expect(ofDockerfile).toMatch(/^node:24-alpine@sha256:[0-9a-f]{64}$/);
  expect(ofBake).toBe(ofDockerfile);
});
