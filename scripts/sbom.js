// Prints the bill of materials of the image, as CycloneDX: the packages in the bundle, and the image that it stands on.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const packages = execFileSync('npm', ['sbom', '--omit=dev', '--package-lock-only', '--sbom-format=cyclonedx']);
const [, base = ''] = /^ARG BASE=(.+)$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? [];
const [, name, version, digest] = /^([^:@]+):([^@]+)@(sha256:[0-9a-f]{64})$/.exec(base) ?? [];
if (name === undefined) throw new Error(`The Dockerfile's base image, ${base}, is not pinned by its digest.`);

const bom = JSON.parse(packages.toString());
const purl = `pkg:docker/${name}@${encodeURIComponent(digest)}?tag=${version}`;
bom.components.push({
  'bom-ref': purl,
  type: 'container',
  name,
  version,
  purl,
  hashes: [{ alg: 'SHA-256', content: digest.slice('sha256:'.length) }],
});
process.stdout.write(`${JSON.stringify(bom, undefined, 2)}\n`);
