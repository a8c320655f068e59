import { readFileSync } from 'node:fs';

/** The package's version: its file is two folders up from here, one from dist. */
export function version(): string {
  const { version } = JSON.parse(
    readFileSync(
      new URL(import.meta.url.endsWith('.ts') ? '../../package.json' : '../package.json', import.meta.url),
      'utf8',
    ),
  ) as {
    version: string;
  };
  return version;
}
