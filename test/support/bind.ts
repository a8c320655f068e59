import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DnsTestServer, KEY } from './dns-server.ts';
import type { Command } from './server.ts';

/** BIND 9. */
export class BindServer extends DnsTestServer {
  readonly #zoneOptions: string;
  readonly #more: string;

  /** @param zoneOptions in place of the usual ones; @param more statements */
  constructor(zones?: readonly string[], zoneOptions = '', more = '') {
    super('bind', zones);
    this.#more = more;
    this.#zoneOptions =
      zoneOptions ||
      `update-policy { grant ${KEY.name} zonesub ANY; }; allow-transfer { key ${KEY.name}; }; check-names ignore; max-records-per-type 0;`;
  }

  protected configured(): Command {
    const zones = this.zones.map((zone) => {
      const file = join(this.dataDir, zone);
      if (!existsSync(file)) writeFileSync(file, this.zoneText(zone));
      return `zone "${zone}" { type primary; file "${file}"; ${this.#zoneOptions} };`;
    });
    const file = this.write(
      'named.conf',
      `key "${KEY.name}" { algorithm ${KEY.algorithm}; secret "${KEY.secret}"; };
options {
  directory "${this.dataDir}"; pid-file none; session-keyfile none; recursion no;
  listen-on port ${this.port} { 127.0.0.1; }; listen-on-v6 { none; };
  dnssec-validation no; empty-zones-enable no; zone-statistics none; notify no;
};
controls { };
${this.#more}
${zones.join('\n')}
`,
    );
    return { file: 'named', args: ['-g', '-n', '2', '-c', file] };
  }
}
