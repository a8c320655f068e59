import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of PEM files: an authority, and what it signed. */
export interface Certificates extends AsyncDisposable {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
  /** Holds the files, also as `ca.pem`, `cert.pem` and `key.pem` of the client, as `DOCKER_CERT_PATH` wants them. */
  readonly dir: string;
}

/** Makes a new authority, a server's certificate for loopback, and a client's; good for a day. */
export async function makeCertificates(): Promise<Certificates> {
  const dir = await mkdtemp(join(tmpdir(), 'registrator-certificates-'));
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: dir });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.pem',
    '-days',
    '1',
    '-subj',
    '/CN=test CA',
  );
  const sign = async (name: string, subject: string, keyFile: string, certFile: string) => {
    await openssl('req', '-new', ...key, '-keyout', keyFile, '-out', `${name}.csr`, '-subj', subject);
    await writeFile(
      join(dir, `${name}.ext`),
      // A server's certificate also serves as a client's: etcd's gateway calls etcd with it.
      'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:localhost,DNS:server.dc1.consul,IP:127.0.0.1,IP:::1\n',
    );
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '1', '-extfile', `${name}.ext`];
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', certFile, ...by);
  };
  await sign('server', '/O=registrator test', 'server-key.pem', 'server.pem');
  await sign('client', '/O=registrator test client', 'key.pem', 'cert.pem');
  return {
    ca: join(dir, 'ca.pem'),
    serverCert: join(dir, 'server.pem'),
    serverKey: join(dir, 'server-key.pem'),
    clientCert: join(dir, 'cert.pem'),
    clientKey: join(dir, 'key.pem'),
    dir,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}
