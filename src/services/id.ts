import { quote } from '../lib/quote.ts';
import type { Container, ContainerPort } from './container.ts';
import { fieldText, type PortFields } from './fields.ts';
import type { Report } from './report.ts';

/** What the IDs of a container's services begin with, unless its labels give others; the exposed port follows. */
export const idPrefix = (hostname: string, containerName: string) => `${hostname}:${containerName}:`;

/** Gives the services of one container their IDs, each another one: on a registry they would overwrite each other. */
export class ServiceIds {
  readonly #prefix: string;
  readonly #grouped: boolean;
  readonly #report: Report;
  readonly #taken = new Set<string>();

  /** @param grouped whether the container offers more than one port */
  constructor(hostname: string, { name }: Container, grouped: boolean, report: Report) {
    this.#prefix = idPrefix(hostname, name);
    this.#grouped = grouped;
    this.#report = report;
  }

  give(fields: PortFields, port: ContainerPort): string {
    const protocol = port.protocol === 'tcp' ? '' : `:${port.protocol}`;
    const wanted = this.#wanted(fields, port, protocol);
    let id = this.#taken.has(wanted) ? `${wanted}${protocol}` : wanted;
    while (this.#taken.has(id)) id = `${id}-${port.number}`;
    this.#taken.add(id);
    if (id !== wanted) {
      this.#report.say(
        'warn',
        `two of its services would have the ID ${quote(wanted)}; that of port ${port.key} is registered as ${quote(id)}. Give each a SERVICE_<port>_ID of its own.`,
      );
    }
    return id;
  }

  #wanted(fields: PortFields, port: ContainerPort, protocol: string): string {
    const given = fieldText(fields, 'id');
    if (given === undefined) return `${this.#prefix}${port.number}${protocol}`;
    const range = fields.get('id')?.ports;
    const forThisPort = range !== undefined && range.first === range.last;
    return this.#grouped && !forThisPort ? `${given}-${port.number}${protocol}` : given;
  }
}
