import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { FACING, GENERATIONS, type Part } from './generations.ts';

/** How each part says which version it is. */
const VERSION: Readonly<Record<Part, (env: NodeJS.ProcessEnv) => string>> = {
  Docker: (env) => asked(env, 'dockerd', '--version'),
  Podman: (env) => asked(env, 'podman', '--version'),
  etcd: (env) => asked(env, 'etcd', '--version'),
  ZooKeeper: ({ REGISTRATOR_TEST_JAVA = '/usr/share/java' }) =>
    numberIn(
      readdirSync(REGISTRATOR_TEST_JAVA)
        .filter((name) => /^zookeeper-\d/.test(name))
        .sort()
        .at(-1),
    ),
  Consul: (env) => asked(env, 'consul', '--version'),
};

const PAGE = new URL('../../docs/compatibility.md', import.meta.url);
const [BEGIN, END] = ['<!-- table: npm run test:compatibility -->', '<!-- end of table -->'];

/** Writes into the table of docs/compatibility.md how the tests went that ran; what others say there stays. */
export class CompatibilityReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const [before = '', rest = ''] = readFileSync(PAGE, 'utf8').split(BEGIN);
    const [table = '', after = ''] = rest.split(END);
    const lines = table.split('\n').filter((line) => line.startsWith('| ') && !HEAD.includes(line));
    const rows = new Map(lines.map((line) => [partOf(line), line]));
    for (const row of rowsOf(modules)) rows.set(partOf(row), row);
    const sorted = [...rows.values()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    writeFileSync(PAGE, `${before}${BEGIN}\n\n${[...HEAD, ...sorted].join('\n')}\n\n${END}${after}`);
  }
}

const HEAD = ['| Part, version | test files | tests passed |', '| --- | --- | --- |'];
const partOf = (row: string) => row.split(' | ', 1)[0] ?? row;

function* rowsOf(modules: readonly TestModule[]): Generator<string> {
  for (const part of Object.keys(FACING) as Part[]) {
    for (const { name, env } of [{ name: 'e2e', env: {} }, ...GENERATIONS]) {
      const files = modules.filter(
        ({ project, moduleId }) => project.name === name && FACING[part].includes(relative(process.cwd(), moduleId)),
      );
      if (files.length === 0) continue;
      const states = files.flatMap(({ children }) => [...children.allTests()].map((test) => test.result().state));
      const passed = states.filter((state) => state === 'passed').length;
      const version = VERSION[part]({ ...process.env, ...env });
      const shown = name === 'docker29' ? `29 (API 1.52), by a shim before ${version}` : version;
      yield `| ${part} ${shown} | ${files.length} | ${passed} of ${states.length} |`;
    }
  }
}

function asked(env: NodeJS.ProcessEnv, program: string, ...words: string[]): string {
  return numberIn(execFileSync(program, words, { env: { ...env, PATH: `${env.PATH}:/usr/sbin` }, encoding: 'utf8' }));
}

const numberIn = (text = '') => /\d+(?:\.\d+)+/.exec(text)?.[0] ?? 'unknown';
