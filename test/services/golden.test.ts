import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Check, type DeriveOptions, derive, parseTagTemplate, type Service } from '../../src/services/index.ts';
import { IMAGE_ID, OPTIONS, type Sample, snapshot } from './snapshots.ts';

/** What gliderlabs/registrator registered for the containers of matrix.txt; test/golden/README.md says how it was seen. */
const golden = (name: string) => readFileSync(new URL(`../golden/${name}`, import.meta.url), 'utf8');

const IMAGES: Readonly<Record<string, readonly string[]>> = {
  redis: ['6379/tcp'],
  $id: ['6379/tcp'],
  'acme/nginx:1.2': ['80/tcp', '443/tcp'],
  'registry.example:5000/team/api:2.0': ['8080/tcp'],
  named: ['53/udp', '53/tcp'],
  plain: [],
};

interface Registration {
  readonly ID: string;
  readonly Name: string;
  readonly Address?: string;
  readonly Port: number;
  readonly Tags?: readonly string[];
  readonly Meta?: Readonly<Record<string, string>>;
  readonly Check: Readonly<Record<string, unknown>> | null;
}

const addresses = Array.from({ length: 250 }, (_, index) => `172.17.0.${index + 2}`).values();

/** The container that `docker run` makes of a line. Addresses of the default bridge come in the order of the lines. */
const containers = golden('matrix.txt')
  .trim()
  .split('\n')
  .map((line) => {
    const [, name = '', command = ''] = /^(\S+) \| (.*)$/.exec(line) ?? [];
    const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
    const image = words.pop() ?? '';
    const published: Record<string, string[]> = {};
    const env: Record<string, string> = {};
    const labels: Record<string, string> = {};
    let networkMode = 'bridge';
    let address: string | undefined;
    for (let index = 0; index < words.length; index += 2) {
      const value = words[index + 1] ?? '';
      const [key = ''] = value.split('=', 1);
      if (words[index] === '-p') {
        const [, host = '', port = '', protocol = 'tcp'] = /^(.*):(\d+)(?:\/(\w+))?$/.exec(value) ?? [];
        published[`${port}/${protocol}`] = [...(published[`${port}/${protocol}`] ?? []), host];
      } else if (words[index] === '-e') env[key] = value.slice(key.length + 1);
      else if (words[index] === '-l') labels[key] = value.slice(key.length + 1);
      else if (words[index] === '--net') networkMode = value;
      else if (words[index] === '--ip') address = value;
    }
    if (networkMode === 'bridge') address = addresses.next().value;
    const sample: Sample = {
      name,
      id: name.padEnd(64, '0'),
      image: image === '$id' ? IMAGE_ID : image,
      exposed: IMAGES[image] ?? [],
      published,
      env,
      labels,
      networkMode,
      networks: address === undefined ? {} : { [networkMode]: { IPAddress: address } },
    };
    return snapshot(sample);
  });

const FLAGS: readonly [string, Partial<DeriveOptions>][] = [
  ['default-ip.json', { ip: '10.9.8.7' }],
  ['no-ip.json', {}],
  ['internal.json', { internal: true }],
  ['explicit.json', { ip: '10.9.8.7', explicit: true }],
  ['ip-from-label.json', { ip: '10.9.8.7', useIpFromLabel: 'my.ip' }],
  [
    'tags.json',
    {
      ip: '10.9.8.7',
      tags: parseTagTemplate(
        'fleet,{{ .Config.Image | toUpper }},{{ strSlice .ID 0 0 }}{{ index .Config.Labels "my.ip" }}',
      ),
    },
  ],
];

describe('registers what gliderlabs/registrator did', () => {
  test.each(FLAGS)('%s', (file, flags) => {
    const recorded = (JSON.parse(golden(file)) as { body: Registration }[]).map(({ body }) =>
      comparable(intended(body)),
    );
    const options = { ...OPTIONS, ...flags };
    const ours = containers.flatMap((container) =>
      derive(container, options, { imageTags: ['redis:latest'] }).services.map((service) =>
        comparable(registration(service)),
      ),
    );
    expect(ours.sort(byId)).toEqual(recorded.sort(byId));
  });
});

const byId = (a: { ID: string }, b: { ID: string }) => (a.ID < b.ID ? -1 : 1);

const HOST = '10.0.0.1';

/** Each difference that test/golden/README.md lists, made in what was recorded. */
function intended(body: Registration): Registration {
  const { ignore, '': nameless, ...meta } = body.Meta ?? {};
  const { ScriptArgs, ...check } = body.Check ?? {};
  const changed: Registration = {
    ...body,
    Meta: meta,
    Tags: body.Tags ?? [],
    // What had no address, or any, is on the host.
    Address: (body.Address ?? '0.0.0.0').replace('0.0.0.0', HOST),
    Check: body.Check && onHost({ ...check, ...(ScriptArgs ? { Args: ['sh', '-c', String(ScriptArgs)] } : {}) }),
  };
  switch (body.ID) {
    case 'twins':
      return { ...changed, ID: body.Name.replace('nginx', 'twins') };
    case 'node1:image-id:6379':
      return {
        ...changed,
        Name: 'redis',
        Tags: changed.Tags?.map((tag) => tag.replace(/^SHA256:.*/, IMAGE_ID.toUpperCase())) ?? [],
      };
    case 'node1:two-bindings:6379':
      return body.Port === 10009 ? { ...changed, Port: 10008 } : changed;
    case 'node1:user-net:6379':
      return body.Port === 10006 ? { ...changed, Address: body.Address === '10.9.8.7' ? body.Address : HOST } : changed;
    default:
      return changed;
  }
}

function onHost(check: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(check).replaceAll('0.0.0.0', HOST)) as Record<string, unknown>;
}

/** Tags in any order: there they came out reversed. */
function comparable(body: Registration): Registration {
  return { ...body, Tags: [...(body.Tags ?? [])].sort(), Meta: body.Meta ?? {} };
}

/** A service in the field names of Consul's agent API. */
function registration(service: Service): Registration & { readonly Checks: null } {
  const { id, name, address, port, tags, meta, check } = service;
  return {
    ID: id,
    Name: name,
    Address: address,
    Port: port,
    Tags: tags,
    Meta: meta,
    Check: check === undefined ? null : definition(check),
    Checks: null,
  };
}

function definition(check: Check): Readonly<Record<string, unknown>> {
  const fields = {
    HTTP: check.type === 'http' ? check.url : undefined,
    Method: check.type === 'http' ? check.method : undefined,
    TCP: check.type === 'tcp' ? check.target : undefined,
    GRPC: check.type === 'grpc' ? check.target : undefined,
    GRPCUseTLS: check.type === 'grpc' ? check.useTls : undefined,
    Args: check.type === 'script' ? check.args : undefined,
    TTL: check.type === 'ttl' ? check.ttl : undefined,
    Interval: check.interval,
    Timeout: check.timeout,
    TLSSkipVerify: check.tlsSkipVerify,
    Status: check.initialStatus,
    DeregisterCriticalServiceAfter: check.deregisterAfter,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
