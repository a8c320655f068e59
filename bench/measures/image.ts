import { buildImage } from '../../test/support/base-images.ts';
import { DockerEngine } from '../../test/support/engine.ts';
import { type BenchOptions, MiB, type Outcome } from '../measure.ts';

const MOST = 4 * 2 ** 20;

/** What the image has beyond the Node image that it is built on. */
export async function image({ say }: BenchOptions): Promise<Outcome> {
  await using engine = await new DockerEngine().start();
  say('image: building');
  await buildImage(engine);
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
