import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a program to its end; resolves with what it printed. @throws Error that says which Debian package brings it */
export async function tool(debianPackage: string, file: string, ...args: readonly string[]): Promise<string> {
  const { PATH = '' } = process.env;
  try {
    const env = { PATH: `${PATH}:/usr/sbin:/sbin` };
    return (await run(file, args, { env, maxBuffer: 16 << 20 })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`${file} is not installed: apt-get install ${debianPackage} brings it.`, { cause: error });
  }
}
