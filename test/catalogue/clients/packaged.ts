import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import Consul from 'consul';
import { freePort } from '../../support/ports.ts';
import { type Client, lastList, type Place, Program } from './client.ts';

/** The clients that Debian and npm have packages of, each set up as docs/embedded-catalogue.md says. */

/** The block of that language, with the ports of this run. */
function recipe(language: string, ports: Readonly<Record<number, number>>): string {
  const page = readFileSync(new URL('../../../docs/embedded-catalogue.md', import.meta.url), 'utf8');
  const block = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)?.[1];
  if (block === undefined) throw new Error(`docs/embedded-catalogue.md has no recipe in ${language}`);
  return block.replace(/\b8\d00\b|\b8080\b/g, (port) => String(ports[Number(port)] ?? port));
}

export async function haproxy({ dns }: Place): Promise<Client> {
  const program = new Program();
  const socket = `${program.dir}/haproxy.sock`;
  const config = program.file(
    'haproxy.cfg',
    `global
  stats socket ${socket} level admin
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend in
  bind 127.0.0.1:${await freePort()}
  default_backend web
${recipe('haproxy', { 8600: dns })}`,
  );
  program.run('haproxy', ['-db', '-f', config]);
  return {
    name: 'HAProxy',
    addresses: async () => {
      const state = await ask(socket, 'show servers state web\n');
      const rows = state.split('\n').filter((line) => / web\d+ /.test(line));
      // Fields 5 to 7: address, operational state (2: running), and what it is told (32: out, since not in DNS).
      const used = rows.map((row) => row.split(' ')).filter((row) => row[5] === '2' && (Number(row[6]) & 32) === 0);
      return used.length === 0 ? undefined : used.map((row) => row[4] ?? '');
    },
    stop: () => program.stop(),
  };
}

function ask(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(path, () => socket.write(command));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text)).on('error', reject);
  });
}

/** @param port of every backend: nginx asks for addresses, and ports are not in those */
export async function nginx({ dns }: Place, port: number): Promise<Client> {
  const program = new Program();
  const listen = await freePort();
  const config = program.file(
    'nginx.conf',
    `daemon off;
pid ${program.dir}/nginx.pid;
error_log stderr crit;
events { }
http {
  access_log off;
  client_body_temp_path ${program.dir}; proxy_temp_path ${program.dir}; fastcgi_temp_path ${program.dir};
  uwsgi_temp_path ${program.dir}; scgi_temp_path ${program.dir};
${recipe('nginx', { 8600: dns, 8080: listen, 8000: port })}}
`,
  );
  program.run('nginx', ['-c', config, '-e', 'stderr']);
  return {
    name: 'nginx',
    addresses: async () => {
      // A name's addresses come one after the other, a request each.
      const found = new Set<string>();
      for (let i = 0; i < 12; i++) {
        const response = await fetch(`http://127.0.0.1:${listen}/`, { signal: AbortSignal.timeout(2_000) });
        if (!response.ok) return undefined;
        found.add(await response.text());
      }
      return [...found];
    },
    stop: () => program.stop(),
  };
}

export function consulWatch({ http }: Place): Client {
  const program = new Program();
  // Its handler gets the answer on its input, on one line: the addresses are what the test asks for.
  const handler = program.file(
    'handler.py',
    'import json, sys\nprint(json.dumps([e["Service"]["Address"] for e in json.load(sys.stdin)]), flush=True)\n',
  );
  const args = ['watch', `-http-addr=127.0.0.1:${http}`, '-type=service', '-service=web', '-passingonly=true'];
  program.run('consul', [...args, '/usr/bin/python3', handler]);
  return { name: "Consul's own CLI", addresses: async () => lastList(program.lines), stop: () => program.stop() };
}

export function pythonConsul({ http }: Place): Client {
  const program = new Program();
  const script = program.file('follow.py', recipe('python', { 8500: http }));
  program.run('/usr/bin/python3', [script]);
  return { name: 'python-consul', addresses: async () => lastList(program.lines), stop: () => program.stop() };
}

export function npmConsul({ http }: Place): Client {
  const client = new Consul({ host: '127.0.0.1', port: http });
  let found: readonly string[] | undefined;
  const options = { service: 'web', passing: true } as never;
  const watch = client.watch({ method: client.health.service, options, backoffMax: 1_000 } as never);
  watch.on('change', (entries: { Service: { Address: string } }[]) => {
    found = entries.map(({ Service }) => Service.Address);
  });
  watch.on('error', () => {});
  return { name: "npm's consul", addresses: async () => found, stop: () => watch.end() };
}
