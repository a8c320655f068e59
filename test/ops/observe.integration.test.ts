import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const src = fileURLToPath(new URL('../../src/', import.meta.url));

/** Whether a program that starts in this way has loaded prom-client by its end. */
async function loadsPromClient(options: string, then: string): Promise<boolean> {
  const program = `
    import Module from 'node:module';
    const { Registrator } = await import('${src}registrator.ts');
    const { observe } = await import('${src}ops/index.ts');
    const observation = await observe(${options}, () => ({ status: { registries: [] }, differences: [] }));
    new Registrator({}, {}, console, observation);
    ${then}
    console.log(Object.keys(Module._cache).some((file) => file.includes('prom-client')));
    process.exit();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  return stdout.trim().endsWith('true');
}

describe('prom-client, which is large', () => {
  it('is not loaded where nobody asks for metrics', async () => {
    expect(await loadsPromClient('{}', '')).toBe(false);
  });

  it('is loaded when somebody does, or for --http', async () => {
    const ask = `await observation.routes.find(({ path }) => path === '/metrics').answer();`;
    expect(await loadsPromClient('{}', ask)).toBe(true);
    expect(await loadsPromClient(`{ http: { host: '127.0.0.1', port: 0 } }`, '')).toBe(true);
  });
});
