import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnsTestServer, KEY } from './dns-server.ts';
import type { Command } from './server.ts';

/** Knot DNS. */
export class KnotServer extends DnsTestServer {
  constructor(zones?: readonly string[]) {
    super('knot', zones);
  }

  protected configured(): Command {
    const zones = this.zones.map((zone) => {
      const file = join(this.dataDir, `${zone}.zone`);
      if (!existsSync(file)) writeFileSync(file, this.zoneText(zone));
      return `  - domain: ${zone}\n    acl: registrator`;
    });
    const file = this.write(
      'knot.conf',
      `server:
    rundir: "${this.dir}"
    listen: 127.0.0.1@${this.port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
database:
    storage: "${this.dataDir}"
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
log:
  - target: stderr
    any: info
key:
  - id: ${KEY.name}
    algorithm: ${KEY.algorithm}
    secret: "${KEY.secret}"
acl:
  - id: registrator
    key: ${KEY.name}
    action: [update, transfer]
template:
  - id: default
    storage: "${this.dataDir}"
    zonefile-sync: 0
zone:
${zones.join('\n')}
`,
    );
    return { file: 'knotd', args: ['-c', file] };
  }
}
