import { readFileSync } from 'node:fs';

/** The package's version; the file is one folder up from src as from dist. */
export function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}
