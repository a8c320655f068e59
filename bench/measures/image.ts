import { fileURLToPath } from 'node:url';
import { importNodeBase } from '../../test/support/base-images.ts';
import { DockerEngine } from '../../test/support/engine.ts';
import { outsideProxy } from '../../test/support/own-network.ts';
import { type BenchOptions, MiB, type Outcome } from '../measure.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MOST = 4 * 2 ** 20;

/** What the image has beyond the Node image that it is built on. */
export async function image({ say }: BenchOptions): Promise<Outcome> {
  await using engine = await new DockerEngine().start();
  await importNodeBase(engine, 'node:base');
  await importNodeBase(engine, 'node:npm', { npm: true });
  say('image: building');
  const ended = new AbortController();
  const args = [
    '--build-arg',
    `HTTPS_PROXY=${await outsideProxy(ended.signal)}`,
    '--build-arg',
    'BASE=node:base',
    '--build-arg',
    'BUILD_BASE=node:npm',
    '--network',
    'host',
  ];
  await engine.docker('build', ...args, '-t', 'registrator', root).finally(() => ended.abort());
  const size = async (name: string) => Number(await engine.docker('image', 'inspect', '-f', '{{.Size}}', name));
  const own = (await size('registrator')) - (await size('node:base'));
  return {
    rows: [
      {
        measure: 'image, over its Node base',
        reach: '≤ 4 MiB',
        reached: own <= MOST,
        registrator: MiB(own),
        note: 'uncompressed, as docker image inspect gives it',
      },
    ],
  };
}
